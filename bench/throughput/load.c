/* The load generator of the throughput bench: one thread, one epoll loop, HTTP/1.1 keep-alive, loopback only.
 *
 *   closed loop (default)  --connections C requests are always under way, for --warmup + --seconds seconds
 *   open loop (--rate R)   one request every 1/R s whatever happened to the others; latency counts from the moment it
 *                          was due, so a router that falls behind cannot hide it
 *   hold (--hold)          opens C streams, prints {"open": n} once all have brought content (or --seconds passed),
 *                          and keeps reading them until its standard input closes
 *
 * Bodies come from a file, one JSON body per line, used in turn. A streamed answer must end in [DONE], a plain one must
 * carry "choices"; anything else is an error. Prints one JSON object; times in microseconds.
 *
 * usage: load --port P --bodies FILE [--path PATH] [--connections C] [--seconds S] [--warmup S] [--rate R] [--stream]
 *             [--hold] [--header 'K: V'] [--batch]
 *
 * --batch: for a bench in which it shares cores with the router. It takes its turn of a core and never interrupts whoever
 * runs there (SCHED_BATCH), as a client on a machine of its own would not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { READ_SIZE = 256 << 10, HEAD_SIZE = 16 << 10, LINE_SIZE = 1024, MAX_BODIES = 4096, GRACE_S = 5 };

enum Reading { HEADERS, LENGTH_BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILERS, TO_CLOSE };

typedef struct {
    int fd;                       /* -1: not connected */
    int busy;                     /* a request is under way */
    int64_t began, first;         /* ns; `began` is the due time in open loop; first content, 0 = none yet */
    enum Reading reading;
    char *head;                   /* headers so far, then (streams) the unfinished line */
    size_t head_length, line_length;
    int64_t left;                 /* bytes left of the body or of the chunk */
    int status, closes, chunk_digits, failed;
    int saw_done, saw_choices;
    const char *request;          /* not yet written rest of the request */
    size_t request_left;
} Connection;

typedef struct { int64_t *values; size_t count, capacity; } Samples;

static struct { char *bytes; size_t length; } bodies[MAX_BODIES];
static int body_count, next_body;
static Connection *connections;
static int connection_count = 1, epoll_fd, is_stream, is_hold, is_in_window, port;
static int64_t measure_from, measure_to;
static double rate;
static Samples latencies, firsts;
static uint64_t requests, errors, non_2xx, events, reads, connects, opened;   /* in the measured window */
static uint64_t all_requests, all_events;   /* in the whole run, warm-up included: what CPU time is divided by */
static int64_t *due_queue;        /* open loop: due times that found no free connection */
static size_t due_count, due_first, due_capacity;
static int *idle, idle_count;
static char *buffer;

static void die(const char *what) { perror(what); exit(1); }

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void keep(Samples *samples, int64_t value) {
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 65536;
        samples->values = realloc(samples->values, samples->capacity * sizeof *samples->values);
        if (!samples->values) die("realloc");
    }
    samples->values[samples->count++] = value;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Nearest rank: the smallest value that at least `share` of the samples do not exceed. */
static void print_quantile(const char *name, const Samples *s, double share) {
    if (!s->count) { printf(", \"%s\": null", name); return; }
    size_t rank = (size_t)(share * (double)s->count);
    if ((double)rank < share * (double)s->count) rank++;
    if (rank) rank--;
    if (rank >= s->count) rank = s->count - 1;
    printf(", \"%s\": %.1f", name, (double)s->values[rank] / 1000.0);
}

/* ---- requests ---------------------------------------------------------------------------------------------- */

static void load_bodies(const char *file, const char *path, const char *header) {
    FILE *f = fopen(file, "r");
    if (!f) die(file);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    while (body_count < MAX_BODIES && (n = getline(&line, &capacity, f)) > 0) {
        if (line[n - 1] == '\n') line[--n] = 0;
        if (!n) continue;
        int length = asprintf(&bodies[body_count].bytes,
            "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\nAccept: */*\r\n%s%s"
            "Content-Length: %zd\r\n\r\n%s", path, port, header ? header : "", header ? "\r\n" : "", n, line);
        bodies[body_count++].length = (size_t)length;
    }
    free(line);
    fclose(f);
    if (!body_count) { fprintf(stderr, "%s: no bodies\n", file); exit(2); }
}

static void watch(Connection *c, int operation, uint32_t what) {
    struct epoll_event e = {.events = what, .data.ptr = c};
    epoll_ctl(epoll_fd, operation, c->fd, &e);
}

static int connect_to(Connection *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0) return -1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 2};
    int one = 1;
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);   /* bounds connect too */
    if (connect(c->fd, (struct sockaddr *)&at, sizeof at)) { close(c->fd); c->fd = -1; return -1; }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connects++;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
    return 0;
}

static void send_rest(Connection *c) {
    ssize_t n = send(c->fd, c->request, c->request_left, MSG_NOSIGNAL | MSG_DONTWAIT);
    int had_all = c->request_left == 0;
    if (n > 0) { c->request += n; c->request_left -= (size_t)n; }
    else if (n < 0 && errno != EAGAIN && errno != EINTR) c->failed = 1;
    if (c->request_left) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    else if (had_all) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void disconnect(Connection *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void set_idle(Connection *c) {
    c->busy = 0;
    idle[idle_count++] = (int)(c - connections);
}

static void finish(Connection *c, int is_error) {
    int64_t now = now_ns();
    all_requests++;
    int in_window = rate > 0 ? c->began >= measure_from && c->began < measure_to
                             : now >= measure_from && now < measure_to;
    if (is_error) errors++;   /* faults count in the warm-up too */
    else if (c->status < 200 || c->status > 299) non_2xx++;
    else if (in_window) {
        requests++;
        keep(&latencies, now - c->began);
        if (c->first) keep(&firsts, c->first - c->began);
    }
    if (is_error || c->closes) disconnect(c);
    set_idle(c);
}

static void begin(Connection *c, int64_t began) {
    c->busy = 1;
    c->began = began;
    c->first = 0;
    c->reading = HEADERS;
    c->head_length = c->line_length = 0;
    c->status = c->closes = c->failed = c->saw_done = c->saw_choices = 0;
    if (c->fd < 0 && connect_to(c)) { finish(c, 1); return; }
    c->request = bodies[next_body].bytes;
    c->request_left = bodies[next_body].length;
    next_body = (next_body + 1) % body_count;
    ssize_t n = send(c->fd, c->request, c->request_left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) {   /* the server closed a kept-alive connection: once more on a new one */
        disconnect(c);
        if (connect_to(c)) { finish(c, 1); return; }
        n = send(c->fd, c->request, c->request_left, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (n > 0) { c->request += n; c->request_left -= (size_t)n; }
    if (c->request_left) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

/* ---- answers ----------------------------------------------------------------------------------------------- */

static int has_content(const char *line, size_t length) {
    const char *at = memmem(line, length, "\"content\":", 10);
    if (!at) return 0;
    at += 10;
    while (at < line + length && *at == ' ') at++;
    return at + 1 < line + length && at[0] == '"' && at[1] != '"';
}

static void on_line(Connection *c, const char *line, size_t length) {
    if (length < 5 || memcmp(line, "data:", 5)) return;
    if (length >= 11 && memmem(line + 5, length - 5, "[DONE]", 6) && length < 16) { c->saw_done = 1; return; }
    all_events++;
    if (is_in_window) events++;   /* as they arrive: streams that outlive the window count too */
    if (c->first) return;
    if (has_content(line, length)) {
        c->first = now_ns();
        if (is_hold) opened++;
    }
}

/* Decoded bytes of a body. Lines that straddle reads are put together in `head`, cut to LINE_SIZE. */
static void on_body(Connection *c, const char *bytes, size_t length) {
    if (!is_stream) {
        if (!c->saw_choices && memmem(bytes, length, "\"choices\"", 9)) c->saw_choices = 1;
        return;
    }
    const char *end = bytes + length;
    while (bytes < end) {
        const char *stop = memchr(bytes, '\n', (size_t)(end - bytes));
        size_t part = (size_t)((stop ? stop : end) - bytes);
        if (stop && !c->line_length) on_line(c, bytes, part);
        else {
            size_t room = LINE_SIZE - c->line_length, take = part < room ? part : room;
            memcpy(c->head + c->line_length, bytes, take);
            c->line_length += take;
            if (stop) { on_line(c, c->head, c->line_length); c->line_length = 0; }
        }
        bytes += part + (stop ? 1 : 0);
    }
}

static void read_headers(Connection *c, size_t head) {
    c->status = head > 12 ? atoi(c->head + 9) : 0;
    c->left = -1;
    c->reading = TO_CLOSE;
    for (char *line = memchr(c->head, '\n', head); line && ++line < c->head + head; line = memchr(line, '\n', (size_t)(c->head + head - line))) {
        if (!strncasecmp(line, "content-length:", 15)) { c->left = atoll(line + 15); c->reading = LENGTH_BODY; }
        else if (!strncasecmp(line, "transfer-encoding: chunked", 26)) { c->left = 0; c->chunk_digits = 0; c->reading = CHUNK_SIZE; }
        else if (!strncasecmp(line, "connection: close", 17)) c->closes = 1;
    }
    if (c->reading == TO_CLOSE) c->closes = 1;
}

static void complete(Connection *c) {
    int is_good = c->status < 200 || c->status > 299 || (is_stream ? c->saw_done : c->saw_choices);
    finish(c, !is_good || c->failed);
}

/* Feeds bytes of the answer; returns 1 when the answer ended (rest of the bytes, if any, is an error). */
static int feed(Connection *c, const char *p, size_t n) {
    const char *end = p + n;
    while (p < end || (c->reading == LENGTH_BODY && c->left == 0)) {
        switch (c->reading) {
        case HEADERS: {
            size_t take = (size_t)(end - p), before = c->head_length;
            if (take > HEAD_SIZE - 1 - before) take = HEAD_SIZE - 1 - before;
            if (!take) { c->failed = 1; return 1; }
            memcpy(c->head + before, p, take);
            c->head_length += take;
            c->head[c->head_length] = 0;
            size_t from = before > 3 ? before - 3 : 0;
            char *stop = memmem(c->head + from, c->head_length - from, "\r\n\r\n", 4);
            if (!stop) { p += take; break; }
            size_t head = (size_t)(stop - c->head) + 4;
            p += head - before;
            read_headers(c, head);
            c->head_length = 0;
            break;
        }
        case LENGTH_BODY: {
            size_t take = (size_t)(end - p);
            if ((int64_t)take > c->left) take = (size_t)c->left;
            on_body(c, p, take);
            p += take;
            c->left -= (int64_t)take;
            if (!c->left) { if (p < end) c->failed = 1; return 1; }
            break;
        }
        case CHUNK_SIZE: {
            char ch = *p++;
            if (ch == '\n') {
                if (!c->chunk_digits) { c->failed = 1; return 1; }
                c->reading = c->left ? CHUNK_DATA : TRAILERS;
                c->chunk_digits = 0;
            } else if (c->chunk_digits >= 0 && ch != '\r') {
                int digit = ch >= '0' && ch <= '9' ? ch - '0' : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10 : -1;
                if (digit < 0) { c->failed = 1; return 1; }
                c->left = c->left * 16 + digit;
                c->chunk_digits++;
            }
            break;
        }
        case CHUNK_DATA: {
            size_t take = (size_t)(end - p);
            if ((int64_t)take > c->left) take = (size_t)c->left;
            on_body(c, p, take);
            p += take;
            c->left -= (int64_t)take;
            if (!c->left) c->reading = CHUNK_END;
            break;
        }
        case CHUNK_END:
            if (*p++ == '\n') { c->reading = CHUNK_SIZE; c->chunk_digits = 0; c->left = 0; }
            break;
        case TRAILERS:
            if (*p++ == '\n') { if (p < end) c->failed = 1; return 1; }
            break;
        case TO_CLOSE:
            on_body(c, p, (size_t)(end - p));
            p = end;
            break;
        }
    }
    return 0;
}

static void on_readable(Connection *c) {
    ssize_t n = recv(c->fd, buffer, READ_SIZE, MSG_DONTWAIT);
    if (n < 0) {
        if (errno == EAGAIN || errno == EINTR) return;
        if (!c->busy) { disconnect(c); return; }
        finish(c, 1);
        return;
    }
    if (n == 0) {
        if (!c->busy) { disconnect(c); return; }
        if (c->reading == TO_CLOSE) { complete(c); return; }
        if (is_hold && c->first) opened--;
        finish(c, 1);
        if (c->fd >= 0) disconnect(c);
        return;
    }
    int64_t now = now_ns();
    is_in_window = now >= measure_from && now < measure_to;
    if (is_in_window) reads++;
    if (!c->busy) { errors++; disconnect(c); return; }   /* bytes nobody asked for */
    if (feed(c, buffer, (size_t)n)) complete(c);
}

/* ---- the loops --------------------------------------------------------------------------------------------- */

static void start_idle_closed(void) {
    static int *again;
    if (!again) again = malloc((size_t)connection_count * sizeof *again);
    int count = idle_count;
    memcpy(again, idle, (size_t)count * sizeof *again);
    idle_count = 0;
    for (int i = 0; i < count; i++) begin(&connections[again[i]], now_ns());
}

static void enqueue(int64_t due) {
    if (due_count == due_capacity) {
        due_capacity = due_capacity ? due_capacity * 2 : 4096;
        due_queue = realloc(due_queue, due_capacity * sizeof *due_queue);
        if (!due_queue) die("realloc");
    }
    due_queue[due_count++] = due;
}

static void start_due(void) {
    while (idle_count && due_first < due_count) begin(&connections[idle[--idle_count]], due_queue[due_first++]);
    if (due_first == due_count) due_first = due_count = 0;
}

static void poll_once(int timeout_ms) {
    struct epoll_event ready[256];
    int n = epoll_wait(epoll_fd, ready, 256, timeout_ms);
    for (int i = 0; i < n; i++) {
        Connection *c = ready[i].data.ptr;
        if (!c || c->fd < 0) continue;   /* the timer, or closed a moment ago */
        if (ready[i].events & EPOLLOUT) send_rest(c);
        if (c->fd >= 0 && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable(c);
    }
}

static void run_closed(void) {
    while (now_ns() < measure_to) {
        start_idle_closed();
        poll_once(idle_count == connection_count ? 10 : 100);   /* all idle again: nobody listens, try in a while */
    }
}

static void run_open(void) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &e);
    double gap = 1e9 / rate;
    int64_t start = now_ns(), due = start;
    uint64_t sent = 0;
    while (due < measure_to || (idle_count < connection_count && now_ns() < measure_to + GRACE_S * 1000000000LL)) {
        while (due <= now_ns() && due < measure_to) { enqueue(due); due = start + (int64_t)((double)++sent * gap); }
        start_due();
        if (due < measure_to) {
            struct itimerspec when = {.it_value = {due / 1000000000, due % 1000000000}};
            timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
        }
        poll_once(100);
        uint64_t ticks;
        if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timerfd");
    }
    errors += due_count - due_first;                      /* due, never sent */
    errors += (uint64_t)(connection_count - idle_count);  /* sent, never answered */
}

static void run_hold(void) {
    int started = 0;
    int64_t until = now_ns() + (measure_to - measure_from);
    while (opened < (uint64_t)connection_count && now_ns() < until) {
        for (int i = 0; i < 64 && started < connection_count; i++) begin(&connections[started++], now_ns());
        poll_once(started < connection_count ? 1 : 20);
    }
    printf("{\"open\": %llu}\n", (unsigned long long)opened);
    fflush(stdout);
    struct pollfd in = {.fd = 0, .events = POLLIN};
    while (poll(&in, 1, 0) == 0) poll_once(50);
}

static void report(void) {
    double seconds = (double)(measure_to - measure_from) / 1e9;
    qsort(latencies.values, latencies.count, sizeof(int64_t), by_value);
    qsort(firsts.values, firsts.count, sizeof(int64_t), by_value);
    printf("{\"requests\": %llu, \"errors\": %llu, \"non_2xx\": %llu, \"events\": %llu, \"reads\": %llu, \"connects\": %llu, "
           "\"seconds\": %.3f, \"requests_per_s\": %.1f, \"events_per_s\": %.1f",
           (unsigned long long)requests, (unsigned long long)errors, (unsigned long long)non_2xx, (unsigned long long)events,
           (unsigned long long)reads, (unsigned long long)connects, seconds, (double)requests / seconds, (double)events / seconds);
    print_quantile("p50_us", &latencies, 0.50);
    print_quantile("p90_us", &latencies, 0.90);
    print_quantile("p99_us", &latencies, 0.99);
    print_quantile("max_us", &latencies, 1.0);
    print_quantile("ttft_p50_us", &firsts, 0.50);
    print_quantile("ttft_p99_us", &firsts, 0.99);
    printf(", \"all_requests\": %llu, \"all_events\": %llu}\n", (unsigned long long)all_requests, (unsigned long long)all_events);
}

int main(int argc, char **argv) {
    const char *file = NULL, *path = "/v1/chat/completions", *header = NULL;
    double seconds = 2, warmup = 0.2;
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(option, "--stream")) { is_stream = 1; continue; }
        if (!strcmp(option, "--hold")) { is_hold = is_stream = 1; continue; }
        if (!strcmp(option, "--batch")) { if (sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0})) die("SCHED_BATCH"); continue; }
        i++;
        if (!strcmp(option, "--port")) port = atoi(value);
        else if (!strcmp(option, "--path")) path = value;
        else if (!strcmp(option, "--bodies")) file = value;
        else if (!strcmp(option, "--connections")) connection_count = atoi(value);
        else if (!strcmp(option, "--seconds")) seconds = atof(value);
        else if (!strcmp(option, "--warmup")) warmup = atof(value);
        else if (!strcmp(option, "--rate")) rate = atof(value);
        else if (!strcmp(option, "--header")) header = value;
        else { fprintf(stderr, "unknown option %s\n", option); return 2; }
    }
    if (port <= 0 || !file || connection_count < 1 || seconds <= 0) {
        fprintf(stderr, "usage: load --port P --bodies FILE [options]; see the head of load.c\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1UL);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    load_bodies(file, path, header);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    buffer = malloc(READ_SIZE);
    connections = calloc((size_t)connection_count, sizeof *connections);
    idle = malloc((size_t)(connection_count + 1) * sizeof *idle);
    if (!buffer || !connections || !idle) die("malloc");
    for (int i = 0; i < connection_count; i++) {
        connections[i].fd = -1;
        connections[i].head = malloc(HEAD_SIZE);
        if (!connections[i].head) die("malloc");
        if (!is_hold) idle[idle_count++] = i;
    }
    measure_from = now_ns() + (int64_t)(warmup * 1e9);
    measure_to = measure_from + (int64_t)(seconds * 1e9);
    if (is_hold) { run_hold(); return 0; }
    if (rate > 0) run_open(); else run_closed();
    report();
    return 0;
}
