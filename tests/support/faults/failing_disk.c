/* Disks that fail: writes that are short, fail or find no room, syncs that fail, disks that are read-only or slow.

   LD_PRELOAD=failing_disk.so FAILING_DISK=<file of struct plan, mapped by all processes>

   A plan says what befalls each n-th call on files whose paths begin as it says and have a text in them. With a trace, each write
   and each sync of such files is told in a file of its own, with the number of the inode, in the order in which they ended. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum kind { NOTHING, SHORT_WRITE, WRITE_ERROR, NO_ROOM, SYNC_ERROR, READ_ONLY, SLOW, STALLED };

struct plan {
    _Atomic long long kind;
    _Atomic long long every;
    _Atomic long long calls;
    _Atomic long long hits;
    long long milliseconds;
    char root[512];
    char part[256];
    char trace[512];
};

static struct plan *plan;

__attribute__((constructor)) static void map_plan(void) {
    const char *path = getenv("FAILING_DISK");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped != MAP_FAILED)
        plan = mapped;
}

static int is_concerned(const char *path) {
    return strncmp(path, plan->root, strlen(plan->root)) == 0 && strstr(path, plan->part) != NULL;
}

static int path_of(int file, char *path) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    long length = syscall(SYS_readlink, link, path, PATH_MAX - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return 1;
}

static int is_kind(enum kind kind) { return plan != NULL && atomic_load(&plan->kind) == kind; }

/* Whether this call on a file is one that fails. */
static int is_hit(int file, enum kind kind) {
    char path[PATH_MAX];
    if (!is_kind(kind) || !path_of(file, path) || !is_concerned(path))
        return 0;
    long long every = atomic_load(&plan->every);
    if (every > 1 && (atomic_fetch_add(&plan->calls, 1) + 1) % every != 0)
        return 0;
    atomic_fetch_add(&plan->hits, 1);
    return 1;
}

static void tell(int file, char what, long long offset, long long length) {
    char path[PATH_MAX], line[96];
    struct stat found;
    if (plan == NULL || plan->trace[0] == 0 || !path_of(file, path) || !is_concerned(path) || fstat(file, &found) != 0)
        return;
    int size = snprintf(line, sizeof line, "%c %lld %lld %llu\n", what, offset, length, (unsigned long long)found.st_ino);
    int saved = errno;
    long trace = syscall(SYS_openat, AT_FDCWD, plan->trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (trace >= 0) {
        syscall(SYS_write, (int)trace, line, size);
        syscall(SYS_close, (int)trace);
    }
    errno = saved;
}

static void wait_if_slow(int file) {
    if (is_hit(file, SLOW)) {
        struct timespec pause = {plan->milliseconds / 1000, plan->milliseconds % 1000 * 1000000};
        syscall(SYS_nanosleep, &pause, NULL);
    }
}

/* What becomes of a write: an errno, or 0; the length may become less. */
static int fault_of_write(int file, size_t *length) {
    if (plan == NULL || atomic_load(&plan->kind) == NOTHING)
        return 0;
    wait_if_slow(file);
    if (is_hit(file, WRITE_ERROR))
        return EIO;
    if (is_hit(file, NO_ROOM))
        return ENOSPC;
    if (is_hit(file, READ_ONLY))
        return EROFS;
    if (*length > 1 && is_hit(file, SHORT_WRITE))
        *length /= 2;
    return 0;
}

ssize_t write(int file, const void *bytes, size_t length) {
    int fault = fault_of_write(file, &length);
    if (fault) {
        errno = fault;
        return -1;
    }
    ssize_t written = syscall(SYS_write, file, bytes, length);
    if (written > 0 && plan != NULL && plan->trace[0])
        tell(file, 'W', syscall(SYS_lseek, file, 0, SEEK_CUR) - written, written);
    return written;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset) {
    int fault = fault_of_write(file, &length);
    if (fault) {
        errno = fault;
        return -1;
    }
    ssize_t written = syscall(SYS_pwrite64, file, bytes, length, offset);
    if (written > 0)
        tell(file, 'W', offset, written);
    return written;
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t offset) { return pwrite64(file, bytes, length, offset); }

static int sync_by(long call, int file) {
    if (plan != NULL && atomic_load(&plan->kind) != NOTHING) {
        wait_if_slow(file);
        if (is_hit(file, SYNC_ERROR)) {
            tell(file, 'F', 0, 0);
            errno = EIO;
            return -1;
        }
    }
    int failed = (int)syscall(call, file);
    if (!failed)
        tell(file, 'S', 0, 0);
    return failed;
}

int fsync(int file) { return sync_by(SYS_fsync, file); }

int fdatasync(int file) { return sync_by(SYS_fdatasync, file); }

int fallocate64(int file, int mode, off64_t offset, off64_t length) {
    if (is_hit(file, NO_ROOM) || is_hit(file, READ_ONLY)) {
        errno = is_kind(NO_ROOM) ? ENOSPC : EROFS;
        return -1;
    }
    return (int)syscall(SYS_fallocate, file, mode, offset, length);
}

int fallocate(int file, int mode, off_t offset, off_t length) { return fallocate64(file, mode, offset, length); }

int ftruncate64(int file, off64_t length) {
    if (is_hit(file, READ_ONLY)) {
        errno = EROFS;
        return -1;
    }
    return (int)syscall(SYS_ftruncate, file, length);
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

/* A file system that does not answer is one that nobody can ask how much room it has. */
int statvfs64(const char *path, struct statvfs64 *found) {
    static int (*next)(const char *, struct statvfs64 *);
    struct timespec pause = {0, 50000000};
    while (is_kind(STALLED) && is_concerned(path))
        syscall(SYS_nanosleep, &pause, NULL);
    if (next == NULL)
        next = (int (*)(const char *, struct statvfs64 *))dlsym(RTLD_NEXT, "statvfs64");
    return next(path, found);
}

int statvfs(const char *path, struct statvfs *found) { return statvfs64(path, (struct statvfs64 *)found); }

/* Whether a path must not be changed. */
static int is_read_only(const char *path) {
    if (!is_kind(READ_ONLY) || path == NULL || !is_concerned(path))
        return 0;
    atomic_fetch_add(&plan->hits, 1);
    errno = EROFS;
    return 1;
}

static int open_by(int folder, const char *path, int flags, mode_t mode) {
    if (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) && is_read_only(path))
        return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    return open_by(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    return open_by(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE_OF(flags)
    return open_by(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE_OF(flags)
    return open_by(folder, path, flags, mode);
}

int rename(const char *from, const char *to) {
    return is_read_only(to) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path) { return is_read_only(path) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0); }

int mkdir(const char *path, mode_t mode) {
    return is_read_only(path) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
