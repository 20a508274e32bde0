/* What stands in for split-sync and split-proxy in the tests of images: a program with libc alone,
 * flags of the form -name=value, an admin port that says how it is, and their exit codes.
 *
 * It prints its arguments one a line, each with the next line's mark, so that a test sees where one
 * ends. SIGUSR1 makes it unhealthy or healthy again; SIGTERM ends it with 0. As split-proxy it needs
 * a writable temporary directory, and exits with 4 where there is none. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t healthy = 1;

static void turn(int number) {
  (void)number;
  healthy = !healthy;
}

static void leave(int number) {
  static const char word[] = "terminated\n";
  (void)number;
  if (write(1, word, sizeof word - 1) < 0) _exit(1);
  _exit(0);
}

static int open_database(void) {
  const char *folder = getenv("TMPDIR");
  char path[4096];
  snprintf(path, sizeof path, "%s/splitio__1.db", folder && *folder ? folder : "/tmp");
  return open(path, O_CREAT | O_WRONLY, 0644);
}

static int open_listener(int port) {
  int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
  here.sin_addr.s_addr = htonl(INADDR_ANY);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 64)) return -1;
  return listener;
}

static void answer(int connection) {
  static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  static const char bad[] =
      "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  char request[4096];
  if (read(connection, request, sizeof request) > 0) {
    const char *text = healthy ? good : bad;
    if (write(connection, text, strlen(text)) < 0) perror("write");
  }
  close(connection);
}

int main(int count, char **words) {
  static const char flag[] = "-admin-port=";
  int port = 3010;
  for (int i = 0; i < count; i++) {
    printf("argument %d: %s\n", i, words[i]);
    if (!strncmp(words[i], flag, sizeof flag - 1)) port = atoi(words[i] + sizeof flag - 1);
  }
  printf("pid %d\n", getpid());
  fflush(stdout);
  if (strstr(words[0], "split-proxy") && open_database() < 0) return 4;
  struct sigaction on_turn = {.sa_handler = turn, .sa_flags = SA_RESTART};
  struct sigaction on_leave = {.sa_handler = leave};
  sigaction(SIGUSR1, &on_turn, NULL);
  sigaction(SIGTERM, &on_leave, NULL);
  int listener = open_listener(port);
  if (listener < 0) return 6;
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    if (connection >= 0) answer(connection);
  }
}
