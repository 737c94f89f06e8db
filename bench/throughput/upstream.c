/* A model server that costs next to nothing: the C upstream every contestant of the throughput bench talks to.
 *
 * One thread, one epoll loop, loopback only. It answers
 *   POST .../chat/completions, .../completions   plain: one JSON reply of about 600 bytes with usage;
 *                                                streamed: role chunk, N - 2 content deltas, finish chunk, [DONE],
 *                                                and a usage chunk when the body says "include_usage": true
 *   GET  .../models, /health                     small JSON
 * How a stream is written is said by the request's "user" field, so that one server serves every row:
 *   "segment"   (default) one event per write with TCP_NODELAY, the open streams taking turns
 *   "burst"     the whole answer in one write
 *   "pace-US"   one event per write, one every US microseconds after the first content delta
 *
 * usage: upstream --port P [--events N] [--batch 1]   (--batch: never interrupts the process it shares a core with; see load.c)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS_PER_WAIT = 256, START_BUFFER = 4096, MAX_REQUEST = 8 << 20, MAX_FRAMES = 4096 };

typedef struct { char *bytes; size_t length; } Text;

enum Writing { IDLE, SEGMENT, BURST, PACED };

typedef struct Connection {
    int fd;
    uint32_t generation;    /* tells a timer of an earlier life of this slot from one of now */
    char *in;
    size_t in_length, in_capacity;
    enum Writing writing;
    Text *frames;           /* what is being written, as frames; `frame` and `offset` say how far it is */
    int frame_count, frame;
    size_t offset;
    int64_t pace_ns;
    int waits_for_room;     /* EPOLLOUT is armed */
    int in_turn;            /* member of the list of streams that take turns */
} Connection;

typedef struct { int64_t due; int fd; uint32_t generation; } Timer;

static Connection **connections;
static int connection_capacity;
static int *turns, turn_count, turn_capacity;
static Timer *heap;
static int heap_count, heap_capacity;
static int epoll_fd, timer_fd;
static Text plain_reply, models_reply, health_reply, missing_reply, length_reply;
static Text frames_bare[MAX_FRAMES], frames_usage[MAX_FRAMES], burst_bare[1], burst_usage[1];
static int bare_count, usage_count;
static uint32_t next_generation = 1;

static void die(const char *what) { perror(what); exit(1); }

static void *grown(void *old, size_t size) {
    void *new = realloc(old, size);
    if (!new) die("realloc");
    return new;
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- what is answered -------------------------------------------------------------------------------------- */

static Text http_reply(const char *status, const char *body) {
    Text text;
    text.length = (size_t)asprintf(&text.bytes,
        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status, strlen(body), body);
    return text;
}

static Text chunk_of(const char *before, const char *event) {
    Text text;
    text.length = (size_t)asprintf(&text.bytes, "%s%zx\r\ndata: %s\n\n\r\n", before, strlen(event) + 8, event);
    return text;
}

#define CHUNK_HEAD "{\"id\":\"chatcmpl-bench-0123456789abcdef\",\"object\":\"chat.completion.chunk\"," \
                   "\"created\":1760000000,\"model\":\"bench-model\",\"choices\":["

static int fill_frames(Text *frames, int events, int with_usage) {
    int count = 0;
    frames[count++] = chunk_of("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                               "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n",
        CHUNK_HEAD "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"
        "\"finish_reason\":null}]}");
    for (int i = 0; i < events - 2; i++)
        frames[count++] = chunk_of("", CHUNK_HEAD "{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,"
                                       "\"finish_reason\":null}]}");
    frames[count++] = chunk_of("", CHUNK_HEAD "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}");
    if (with_usage)
        frames[count++] = chunk_of("", CHUNK_HEAD "],\"usage\":{\"prompt_tokens\":80,\"completion_tokens\":64,"
                                                  "\"total_tokens\":144}}");
    Text done = chunk_of("", "[DONE]");
    done.bytes = grown(done.bytes, done.length + 6);   /* the last chunk of the body goes out with [DONE] */
    memcpy(done.bytes + done.length, "0\r\n\r\n", 5);
    done.length += 5;
    frames[count++] = done;
    return count;
}

static Text joined(const Text *frames, int count) {
    Text all = {NULL, 0};
    for (int i = 0; i < count; i++) {
        all.bytes = grown(all.bytes, all.length + frames[i].length);
        memcpy(all.bytes + all.length, frames[i].bytes, frames[i].length);
        all.length += frames[i].length;
    }
    return all;
}

static void prepare(int events) {
    plain_reply = http_reply("200 OK",
        "{\"id\":\"chatcmpl-bench-0123456789abcdef\",\"object\":\"chat.completion\",\"created\":1760000000,"
        "\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"The order left the warehouse on Tuesday and reaches you within three working days. You can follow it with "
        "the tracking number in the confirmation mail; if the parcel is late, reply to that mail and we will look for "
        "it with the carrier and tell you the same day what we found.\",\"refusal\":null},\"logprobs\":null,"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":80,\"completion_tokens\":64,\"total_tokens\":144},"
        "\"system_fingerprint\":\"fp_bench\"}");
    models_reply = http_reply("200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"bench-model\",\"object\":\"model\","
                                        "\"created\":1760000000,\"owned_by\":\"bench\",\"max_model_len\":131072}]}");
    health_reply = http_reply("200 OK", "{\"status\":\"ok\"}");
    missing_reply = http_reply("404 Not Found", "{\"error\":{\"message\":\"no such path\",\"type\":\"not_found\"}}");
    length_reply = http_reply("411 Length Required", "{\"error\":{\"message\":\"send Content-Length\",\"type\":\"invalid_request_error\"}}");
    bare_count = fill_frames(frames_bare, events, 0);
    usage_count = fill_frames(frames_usage, events, 1);
    burst_bare[0] = joined(frames_bare, bare_count);
    burst_usage[0] = joined(frames_usage, usage_count);
}

/* ---- timers and turns -------------------------------------------------------------------------------------- */

static void heap_push(Timer timer) {
    if (heap_count == heap_capacity) {
        heap_capacity = heap_capacity ? heap_capacity * 2 : 1024;
        heap = grown(heap, (size_t)heap_capacity * sizeof *heap);
    }
    int i = heap_count++;
    while (i > 0 && heap[(i - 1) / 2].due > timer.due) { heap[i] = heap[(i - 1) / 2]; i = (i - 1) / 2; }
    heap[i] = timer;
}

static Timer heap_pop(void) {
    Timer top = heap[0], last = heap[--heap_count];
    int i = 0;
    for (;;) {
        int child = 2 * i + 1;
        if (child >= heap_count) break;
        if (child + 1 < heap_count && heap[child + 1].due < heap[child].due) child++;
        if (heap[child].due >= last.due) break;
        heap[i] = heap[child];
        i = child;
    }
    if (heap_count) heap[i] = last;
    return top;
}

static void take_turns(Connection *c) {
    if (c->in_turn) return;
    if (turn_count == turn_capacity) {
        turn_capacity = turn_capacity ? turn_capacity * 2 : 1024;
        turns = grown(turns, (size_t)turn_capacity * sizeof *turns);
    }
    turns[turn_count++] = c->fd;
    c->in_turn = 1;
}

/* ---- one connection ---------------------------------------------------------------------------------------- */

static void listen_for(Connection *c, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = c->fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
}

static void drop(Connection *c) {
    connections[c->fd] = NULL;
    close(c->fd);
    for (int i = 0; c->in_turn && i < turn_count; i++)
        if (turns[i] == c->fd) { turns[i] = -1; break; }
    free(c->in);
    free(c);
}

/* Writes from where the answer stands. Returns 1 when that frame is out, 0 when the socket is full, -1 when dropped. */
static int write_frame(Connection *c) {
    Text *frame = &c->frames[c->frame];
    ssize_t n = send(c->fd, frame->bytes + c->offset, frame->length - c->offset, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) { drop(c); return -1; }
        n = 0;
    }
    c->offset += (size_t)n;
    if (c->offset < frame->length) {
        if (!c->waits_for_room) { c->waits_for_room = 1; listen_for(c, EPOLLIN | EPOLLOUT | EPOLLRDHUP); }
        return 0;
    }
    c->offset = 0;
    c->frame++;
    if (c->frame == c->frame_count) c->writing = IDLE;
    return 1;
}

static int handle_requests(Connection *c);

/* After a frame is out: the next turn, the next due time, or the next request. Returns -1 when dropped. */
static int after_frame(Connection *c) {
    if (c->writing == IDLE) return handle_requests(c);
    if (c->writing == PACED && c->frame >= 2) {   /* role and first delta at once: the stream is open */
        int64_t wait = c->pace_ns;
        if (c->frame == 2) wait = wait * (rand() % 1024) / 1024;   /* streams begun together must not tick together */
        heap_push((Timer){now_ns() + wait, c->fd, c->generation});
        return 0;
    }
    take_turns(c);
    return 0;
}

static int answer(Connection *c, Text *frames, int count, enum Writing writing) {
    c->frames = frames;
    c->frame_count = count;
    c->frame = 0;
    c->offset = 0;
    c->writing = writing;
    int wrote = write_frame(c);
    if (wrote <= 0) return wrote;
    if (c->writing != IDLE) return after_frame(c);
    return 0;
}

static int says_true(const char *body, size_t length, const char *name) {
    const char *at = memmem(body, length, name, strlen(name));
    if (!at) return 0;
    at += strlen(name);
    while (at < body + length && (*at == ':' || *at == ' ')) at++;
    return body + length - at >= 4 && !memcmp(at, "true", 4);
}

static const char *value_of_user(const char *body, size_t length) {
    const char *at = memmem(body, length, "\"user\"", 6);
    while (at) {   /* "role":"user" has no colon behind it */
        const char *after = at + 6;
        while (after < body + length && (*after == ':' || *after == ' ')) after++;
        if (after > at + 6 && after < body + length && *after == '"') return after + 1;
        at = memmem(after, (size_t)(body + length - after), "\"user\"", 6);
    }
    return "";
}

static int answer_chat(Connection *c, const char *body, size_t length) {
    if (!says_true(body, length, "\"stream\"")) return answer(c, &plain_reply, 1, BURST);
    int usage = says_true(body, length, "\"include_usage\"");
    const char *user = value_of_user(body, length);
    if (!strncmp(user, "burst", 5)) return answer(c, usage ? burst_usage : burst_bare, 1, BURST);
    enum Writing writing = SEGMENT;
    if (!strncmp(user, "pace-", 5)) { writing = PACED; c->pace_ns = atoll(user + 5) * 1000; }
    return answer(c, usage ? frames_usage : frames_bare, usage ? usage_count : bare_count, writing);
}

static int path_ends(const char *path, size_t length, const char *tail) {
    size_t n = strlen(tail);
    return length >= n && !memcmp(path + length - n, tail, n);
}

/* One request if it is complete. Returns its length, 0 when more bytes are needed, -1 when the connection is gone. */
static ssize_t handle_one(Connection *c) {
    char *end = memmem(c->in, c->in_length, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end - c->in) + 4, body_length = 0;
    int is_post = !strncmp(c->in, "POST ", 5), has_length = 0;
    for (char *line = memchr(c->in, '\n', head); line && line < end; line = memchr(line, '\n', (size_t)(end + 2 - line))) {
        line++;
        if (line < end && !strncasecmp(line, "content-length:", 15)) { body_length = strtoul(line + 15, NULL, 10); has_length = 1; }
    }
    if (body_length > MAX_REQUEST) { drop(c); return -1; }
    if (c->in_length < head + body_length) return 0;
    const char *path = c->in + (is_post ? 5 : 4), *stop = memchr(path, ' ', head - 5);
    size_t path_length = stop ? (size_t)(stop - path) : 0;
    int r;
    if (is_post && !has_length) r = answer(c, &length_reply, 1, BURST);
    else if (is_post && path_ends(path, path_length, "/completions")) r = answer_chat(c, c->in + head, body_length);
    else if (path_ends(path, path_length, "/models")) r = answer(c, &models_reply, 1, BURST);
    else if (path_ends(path, path_length, "/health")) r = answer(c, &health_reply, 1, BURST);
    else r = answer(c, &missing_reply, 1, BURST);
    return r < 0 ? -1 : (ssize_t)(head + body_length);
}

static int handle_requests(Connection *c) {
    while (c->writing == IDLE && c->in_length) {
        ssize_t used = handle_one(c);
        if (used < 0) return -1;
        if (used == 0) return 0;
        memmove(c->in, c->in + used, c->in_length - (size_t)used);
        c->in_length -= (size_t)used;
    }
    return 0;
}

static void on_readable(Connection *c) {
    for (;;) {
        if (c->in_length == c->in_capacity) {
            if (c->in_capacity > MAX_REQUEST) { drop(c); return; }
            c->in_capacity = c->in_capacity ? c->in_capacity * 2 : START_BUFFER;
            c->in = grown(c->in, c->in_capacity);
        }
        size_t room = c->in_capacity - c->in_length;
        ssize_t n = recv(c->fd, c->in + c->in_length, room, 0);
        if (n == 0) { drop(c); return; }
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) { drop(c); return; }
            break;
        }
        c->in_length += (size_t)n;
        if ((size_t)n < room) break;
    }
    handle_requests(c);
}

static void on_room(Connection *c) {
    c->waits_for_room = 0;
    listen_for(c, EPOLLIN | EPOLLRDHUP);
    if (c->writing != IDLE && write_frame(c) == 1) after_frame(c);
}

static void on_connection(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (fd >= connection_capacity) {
            int wanted = fd + 1024;
            connections = grown(connections, (size_t)wanted * sizeof *connections);
            memset(connections + connection_capacity, 0, (size_t)(wanted - connection_capacity) * sizeof *connections);
            connection_capacity = wanted;
        }
        Connection *c = calloc(1, sizeof *c);
        if (!c) die("calloc");
        c->fd = fd;
        c->generation = next_generation++;
        connections[fd] = c;
        struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
    }
}

/* Every stream that takes turns writes one event; those that go on stand for the next round. */
static void one_round(void) {
    static int *round;
    static int round_capacity;
    int count = turn_count;
    if (round_capacity < count) { round_capacity = turn_capacity; round = grown(round, (size_t)round_capacity * sizeof *round); }
    memcpy(round, turns, (size_t)count * sizeof *round);
    turn_count = 0;
    for (int i = 0; i < count; i++) {
        Connection *c = round[i] >= 0 ? connections[round[i]] : NULL;
        if (!c || !c->in_turn) continue;
        c->in_turn = 0;
        if (!c->waits_for_room && c->writing != IDLE && write_frame(c) == 1) after_frame(c);
    }
}

static void due_timers(void) {
    int64_t now = now_ns();
    while (heap_count && heap[0].due <= now) {
        Timer timer = heap_pop();
        Connection *c = timer.fd < connection_capacity ? connections[timer.fd] : NULL;
        if (c && c->generation == timer.generation && c->writing == PACED && !c->waits_for_room && write_frame(c) == 1)
            after_frame(c);
    }
}

static int listener_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)&at, sizeof at)) die("bind");
    if (listen(fd, 4096)) die("listen");
    return fd;
}

static void arm_timer(void) {
    static int64_t armed;
    int64_t due = heap_count ? heap[0].due : 0;
    if (due == armed) return;
    struct itimerspec when = {.it_value = {due / 1000000000, due % 1000000000}};
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    armed = due;
}

int main(int argc, char **argv) {
    int port = 0, events = 66;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--events")) events = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--batch")) { if (atoi(argv[i + 1]) && sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0})) die("SCHED_BATCH"); }
        else { fprintf(stderr, "unknown option %s\n", argv[i]); return 2; }
    }
    if (port <= 0 || events < 3 || events > MAX_FRAMES - 4) {
        fprintf(stderr, "usage: upstream --port P [--events 3..%d]\n", MAX_FRAMES - 4);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prepare(events);
    int listener = listener_on(port);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
    e.data.fd = timer_fd;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &e);
    struct epoll_event ready[MAX_EVENTS_PER_WAIT];
    for (;;) {
        arm_timer();
        int n = epoll_wait(epoll_fd, ready, MAX_EVENTS_PER_WAIT, turn_count ? 0 : -1);
        if (n < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) { on_connection(listener); continue; }
            if (fd == timer_fd) { uint64_t ticks; if (read(timer_fd, &ticks, sizeof ticks) < 0) continue; continue; }
            Connection *c = connections[fd];
            if (!c) continue;
            if (ready[i].events & (EPOLLHUP | EPOLLERR)) { drop(c); continue; }
            if (ready[i].events & EPOLLOUT) { on_room(c); c = connections[fd]; if (!c) continue; }
            if (ready[i].events & (EPOLLIN | EPOLLRDHUP)) on_readable(c);
        }
        if (turn_count) one_round();
        due_timers();
    }
}
