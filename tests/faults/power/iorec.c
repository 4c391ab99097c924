/* Records what a process does to the files of one folder (IOREC_FOLDER) into a log (IOREC_LOG).
 *
 * A library for LD_PRELOAD: each call goes to libc first and is recorded when it succeeded. One
 * record is a header of fixed size, the name within the folder, and the data of a write. Names end
 * at a descriptor's close; descriptors at or above LIMIT stop the process rather than be missed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define LIMIT 1024
#define REAL(name) ((__typeof__(&name))real(#name))

struct record {
    char kind; /* c create, w write, t truncate, s sync, u unlink, f sync of the folder */
    uint8_t name;
    uint16_t unused;
    uint32_t size;
    uint64_t offset;
};

static char folder[PATH_MAX];
static size_t folder_length;
static int log_fd = -1;
static char names[LIMIT][256]; /* by descriptor: "" is not ours, "." is the folder */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void fail(const char *why) {
    fprintf(stderr, "iorec: %s\n", why);
    _exit(70);
}

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("IOREC_FOLDER"), *log = getenv("IOREC_LOG");
    if (!where || !log) return;
    snprintf(folder, sizeof folder, "%s", where);
    folder_length = strlen(folder);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) fail("the log cannot be opened");
}

static const char *inside(const char *path) {
    if (log_fd < 0 || strncmp(path, folder, folder_length)) return NULL;
    if (!path[folder_length]) return ".";
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static const char *name_of(int fd) { return fd >= 0 && fd < LIMIT && names[fd][0] ? names[fd] : NULL; }

static void record(char kind, const char *name, uint64_t offset, const void *data, uint32_t size) {
    struct record head = {kind, (uint8_t)strlen(name), 0, size, offset};
    struct iovec parts[] = {
        {&head, sizeof head}, {(void *)name, head.name}, {(void *)data, data ? size : 0}};
    ssize_t expected = (ssize_t)(sizeof head + head.name + (data ? size : 0));
    pthread_mutex_lock(&lock);
    if (syscall(SYS_writev, log_fd, parts, 3) != expected) fail("the log cannot be written");
    pthread_mutex_unlock(&lock);
}

static int opened(const char *path, int flags, mode_t mode) {
    const char *name = inside(path);
    int there = name && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
    int fd = (int)REAL(openat)(AT_FDCWD, path, flags, mode);
    if (fd < 0 || !name) return fd;
    if (fd >= LIMIT) fail("too many descriptors");
    snprintf(names[fd], sizeof names[fd], "%s", name);
    if (!there) record('c', name, 0, NULL, 0);
    else if (flags & O_TRUNC) record('t', name, 0, NULL, 0);
    return fd;
}

#define OPEN(name)                                  \
    int name(const char *path, int flags, ...) {    \
        va_list rest;                               \
        va_start(rest, flags);                      \
        mode_t mode = va_arg(rest, int);            \
        va_end(rest);                               \
        return opened(path, flags, mode);           \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (fd >= 0 && fd < LIMIT) names[fd][0] = 0;
    return REAL(close)(fd);
}

#define PWRITE(function, offset_t)                                                   \
    ssize_t function(int fd, const void *data, size_t size, offset_t offset) {       \
        ssize_t done = REAL(function)(fd, data, size, offset);                       \
        const char *name = name_of(fd);                                              \
        if (name && done > 0) record('w', name, (uint64_t)offset, data, (uint32_t)done); \
        return done;                                                                 \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t size) {
    const char *name = name_of(fd);
    off_t offset = name ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = REAL(write)(fd, data, size);
    if (name && done > 0) record('w', name, (uint64_t)offset, data, (uint32_t)done);
    return done;
}

#define TRUNCATE(function, offset_t)                                       \
    int function(int fd, offset_t size) {                                  \
        int failed = REAL(function)(fd, size);                             \
        const char *name = name_of(fd);                                    \
        if (name && !failed) record('t', name, (uint64_t)size, NULL, 0);   \
        return failed;                                                     \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(function)                                                                  \
    int function(int fd) {                                                              \
        int failed = REAL(function)(fd);                                                \
        const char *name = name_of(fd);                                                 \
        if (name && !failed) record(strcmp(name, ".") ? 's' : 'f', name, 0, NULL, 0);   \
        return failed;                                                                  \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    int failed = REAL(unlink)(path);
    const char *name = inside(path);
    if (name && !failed) record('u', name, 0, NULL, 0);
    return failed;
}
