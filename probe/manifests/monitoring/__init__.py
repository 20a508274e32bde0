"""What watches the sidecar: Prometheus' configuration and rules, Alertmanager's routes, Grafana."""
