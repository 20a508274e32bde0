"""What is known of one image: what it starts, what that reaches, who owns what. Pure."""
