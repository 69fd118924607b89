/* A driver of CUDA without a GPU: one device whose memory is the heap, streams that are always done.
   Built by test_device.py as libcuda.so.1 for a process of its own; what it is asked to do goes to stderr. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, NOT_FOUND = 500 };
typedef int Status;
typedef unsigned long long Address;

static int context, depth, capturing;
#define TELL(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), SUCCESS)
#define NEED_CONTEXT if (depth == 0) return INVALID_CONTEXT

Status cuInit(unsigned flags) { return SUCCESS; }
Status cuDriverGetVersion(int *version) { return *version = 13010, SUCCESS; }
Status cuDeviceGet(int *device, int ordinal) { return *device = ordinal, SUCCESS; }
Status cuDeviceGetName(char *name, int size, int device) { return strncpy(name, "Stand-in GPU", size), SUCCESS; }
Status cuDeviceGetAttribute(int *value, int attribute, int device) { return *value = attribute == 75 ? 9 : 0, SUCCESS; }
Status cuDevicePrimaryCtxRetain(void **held, int device) { return *held = &context, SUCCESS; }
Status cuDevicePrimaryCtxRelease_v2(int device) { return TELL("released"); }
Status cuCtxPushCurrent_v2(void *pushed) { return depth++, pushed == &context ? SUCCESS : INVALID_CONTEXT; }
Status cuCtxPopCurrent_v2(void **popped) { NEED_CONTEXT; return depth--, *popped = &context, SUCCESS; }

Status cuMemAlloc_v2(Address *address, size_t size) {
    NEED_CONTEXT;
    if (size > (1ull << 32)) return OUT_OF_MEMORY;
    *address = (Address)aligned_alloc(256, (size + 255) / 256 * 256);
    return SUCCESS;
}
Status cuMemFree_v2(Address address) { NEED_CONTEXT; free((void *)address); return TELL("device memory freed"); }
Status cuMemHostAlloc(void **memory, size_t size, unsigned flags) { NEED_CONTEXT; return *memory = malloc(size), SUCCESS; }
Status cuMemFreeHost(void *memory) { NEED_CONTEXT; free(memory); return TELL("host memory freed"); }
Status cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t size, void *stream) {
    NEED_CONTEXT;
    memcpy((void *)to, from, size);
    return TELL("in %zu on %p", size, stream);
}
Status cuMemcpyDtoHAsync_v2(void *to, Address from, size_t size, void *stream) {
    NEED_CONTEXT;
    memcpy(to, (void *)from, size);
    return TELL("out %zu on %p", size, stream);
}
Status cuStreamCreate(void **stream, unsigned flags) { NEED_CONTEXT; return *stream = (void *)0x1000, TELL("stream flags %u", flags); }
Status cuStreamDestroy_v2(void *stream) { NEED_CONTEXT; return TELL("stream destroyed"); }
Status cuStreamSynchronize(void *stream) { NEED_CONTEXT; return TELL("synchronised %p", stream); }
Status cuStreamBeginCapture_v2(void *stream, int mode) {
    NEED_CONTEXT;
    if (getenv("REFUSE_CAPTURE")) return INVALID_VALUE;
    capturing = 1;
    return TELL("capture on %p mode %d", stream, mode);
}
Status cuStreamEndCapture(void *stream, void **graph) {
    if (!capturing) return INVALID_VALUE;
    capturing = 0;
    return *graph = (void *)0x77, SUCCESS;
}
Status cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) {
    return *executable = (void *)0x88, graph == (void *)0x77 ? SUCCESS : INVALID_VALUE;
}
Status cuGraphDestroy(void *graph) { return graph == (void *)0x77 ? SUCCESS : INVALID_VALUE; }
Status cuGraphExecDestroy(void *executable) { return TELL("graph destroyed"); }
Status cuGraphLaunch(void *executable, void *stream) { NEED_CONTEXT; return TELL("launched %p on %p", executable, stream); }

/* How cuda-bindings finds the functions: the newest version of each. */
Status cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long long flags, int *found) {
    char versioned[128];
    void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (!strcmp(name, "cuGraphInstantiate")) name = "cuGraphInstantiateWithFlags";
    snprintf(versioned, sizeof versioned, "%s_v2", name);
    if (!(*function = dlsym(self, versioned))) *function = dlsym(self, name);
    if (found) *found = *function ? 0 : 1;
    return *function ? SUCCESS : NOT_FOUND;
}
