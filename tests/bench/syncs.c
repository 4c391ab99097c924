/* Counts the syncs of a process, loaded with LD_PRELOAD; SYNC_DELAY_US makes each as slow as a disk's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static long count;

long bench_syncs(void) { return count; }

static int synced(const char *name, int fd)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *delay = getenv("SYNC_DELAY_US");
    count++;
    if (delay)
        usleep((useconds_t)atol(delay));
    return real(fd);
}

int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }
