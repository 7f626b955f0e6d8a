/* Types that applications and plugins share: status codes, element types, tensors.
 *
 * Everything here is part of the stable ABI: numbers and field offsets do not change. */
#ifndef TAPLINE_TYPES_H
#define TAPLINE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Result of every call that can fail. 0 is success; a number once given is never given another meaning. */
typedef enum tl_status {
    TL_OK = 0,
    TL_INVALID_ARGUMENT = 1, /* the caller's mistake: NULL, wrong index, wrong order of calls */
    TL_INVALID_MODEL = 2,    /* the file breaks a rule of the format or of an operator */
    TL_UNSUPPORTED = 3,      /* valid, but an operator, version, type or feature is not there */
    TL_INVALID_INPUT = 4,    /* a run's input has the wrong type, rank, dimension or value */
    TL_NO_MEMORY = 5,        /* the allocator refused, or a size does not fit or exceeds a limit */
    TL_IO = 6,               /* a file cannot be opened, read or written */
    TL_PLUGIN = 7,           /* a plugin cannot be loaded or breaks the ABI's rules */
    TL_CANCELLED = 8,        /* another thread asked the run to stop */
    TL_INTERNAL = 9          /* a mistake of this library; please report it */
} tl_status;

/* A failure in words: one line, no newline at the end. Owned by the caller, who may keep it on the stack. */
typedef struct tl_error {
    tl_status status;
    char message[1020];
} tl_error;

/* Element types; the numbers are TensorProto.DataType's (ONNX 1.23, IR version 14). */
typedef enum tl_type {
    TL_UNDEFINED = 0,
    TL_FLOAT = 1,
    TL_UINT8 = 2,
    TL_INT8 = 3,
    TL_UINT16 = 4,
    TL_INT16 = 5,
    TL_INT32 = 6,
    TL_INT64 = 7,
    TL_STRING = 8, /* elements are tl_string */
    TL_BOOL = 9,   /* one byte, 0 or 1 */
    TL_FLOAT16 = 10,
    TL_DOUBLE = 11,
    TL_UINT32 = 12,
    TL_UINT64 = 13,
    TL_COMPLEX64 = 14,
    TL_COMPLEX128 = 15,
    TL_BFLOAT16 = 16,
    TL_FLOAT8E4M3FN = 17,
    TL_FLOAT8E4M3FNUZ = 18,
    TL_FLOAT8E5M2 = 19,
    TL_FLOAT8E5M2FNUZ = 20,
    TL_UINT4 = 21,      /* two in a byte, the first in the low half */
    TL_INT4 = 22,       /* likewise */
    TL_FLOAT4E2M1 = 23, /* likewise */
    TL_FLOAT8E8M0 = 24,
    TL_UINT2 = 25,      /* four in a byte, the first in the lowest bits */
    TL_INT2 = 26,       /* likewise */
    TL_FLOAT6E2M3 = 27, /* one in a byte, in its low six bits; files have four in three bytes */
    TL_FLOAT6E3M2 = 28, /* likewise */
    TL_TYPE_COUNT = 29
} tl_type;

/* An element of a string tensor: bytes that may hold NUL, not terminated. Whoever hands the tensor over owns the
 * bytes and keeps them as long as the tensor's buffer must live. */
typedef struct tl_string {
    const char *data;
    size_t size;
} tl_string;

/* Most dimensions a tensor can have. Models with more are refused. */
#define TL_MAX_RANK 16

/* A dimension's size. At run time >= 0. Ahead of the run a size may be unknown: TL_DIM_UNKNOWN, or a number below it,
 * which stands for a symbol: equal numbers are equal sizes. Copying a dimension keeps its symbol. */
typedef int64_t tl_dim;
#define TL_DIM_UNKNOWN ((tl_dim)-1)

/* Rank of a tensor whose rank is not known yet; only ahead of the run. */
#define TL_RANK_UNKNOWN (-1)

/* A dense tensor in row-major order. A view: it owns nothing. `data` is aligned to the element at least, and may be
 * NULL where a tensor has no elements, or where only type and shape are meant. */
typedef struct tl_tensor {
    void *data;
    tl_type type;
    int32_t rank;
    tl_dim dims[TL_MAX_RANK];
} tl_tensor;

#ifdef __cplusplus
}
#endif
#endif
