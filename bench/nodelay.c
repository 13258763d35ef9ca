/* Preloaded into Orthanc for the second comparison: the socket options that Hilum sets itself,
 * TCP_NODELAY once and TCP_QUICKACK after each read (Linux clears it by itself). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static void set(int fd, int option)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, option, &on, sizeof on);
}

int accept(int fd, struct sockaddr *address, socklen_t *length)
{
    int (*next)(int, struct sockaddr *, socklen_t *) = dlsym(RTLD_NEXT, "accept");
    int accepted = next(fd, address, length);
    if (accepted >= 0) {
        set(accepted, TCP_NODELAY);
        set(accepted, TCP_QUICKACK);
    }
    return accepted;
}

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    ssize_t (*next)(int, void *, size_t, int) = dlsym(RTLD_NEXT, "recv");
    ssize_t got = next(fd, buffer, length, flags);
    set(fd, TCP_QUICKACK);
    return got;
}

ssize_t read(int fd, void *buffer, size_t length)
{
    static ssize_t (*next)(int, void *, size_t);
    if (!next)
        next = dlsym(RTLD_NEXT, "read");
    ssize_t got = next(fd, buffer, length);
    if (got > 0)
        set(fd, TCP_QUICKACK);
    return got;
}
