/* Makes writes and syncs of a journal fail, in a process that is started with
 * this loaded before everything else: while a file "sync" is in the directory
 * named by ORWD_FAULTS, syncs fail, and while "space" is there, no write finds
 * space. Other files than a journal's are left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fault(const char *kind, int fd) {
    const char *dir = getenv("ORWD_FAULTS");
    char path[PATH_MAX], link[64], target[PATH_MAX];
    if (!dir) return 0;
    snprintf(path, sizeof path, "%s/%s", dir, kind);
    if (access(path, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n < 0) return 0;
    target[n] = 0;
    return strstr(target, "journal.db") != NULL;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) {
    if (fault("sync", fd)) { errno = EIO; return -1; }
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    if (fault("sync", fd)) { errno = EIO; return -1; }
    return REAL(fdatasync)(fd);
}

ssize_t write(int fd, const void *bytes, size_t size) {
    if (fault("space", fd)) { errno = ENOSPC; return -1; }
    return REAL(write)(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
    if (fault("space", fd)) { errno = ENOSPC; return -1; }
    return REAL(pwrite)(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
    if (fault("space", fd)) { errno = ENOSPC; return -1; }
    return REAL(pwrite64)(fd, bytes, size, at);
}
