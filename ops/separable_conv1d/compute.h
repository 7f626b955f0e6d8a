/* The computation, free of any host: what is packed once, what a shape needs, and a run in pieces. */
#ifndef SEPARABLE_CONV1D_COMPUTE_H
#define SEPARABLE_CONV1D_COMPUTE_H

#include "separable_conv1d/separable_conv1d.h"

/* Bytes, as the sum of parts that each begin at a multiple of 64. */
typedef struct sepconv_size {
    size_t bytes;
    bool overflow;
} sepconv_size;

/* The kernel that does an operator's work, and what it needs to know. */
typedef struct sepconv_engine {
    const tlk_sepconv_kernel *kernel;
    tlk_sepconv form;
    sepconv_over over;
    tlk_type type;       /* of the tensors; form.type is float for half types */
    sepconv_size thread; /* workspace of each thread */
} sepconv_engine;

/* Weights as a model has them; `bias` may be NULL. */
typedef struct sepconv_weights {
    const void *depthwise, *pointwise, *bias;
} sepconv_weights;

/* A run: the pointers are the caller's. */
typedef struct sepconv_job {
    const sepconv_engine *engine;
    const sepconv_shape *shape; /* every size known */
    const void *packed;         /* NULL: `weights` are packed into the workspace first */
    sepconv_weights weights;
    const void *x;
    void *y;
    tlk_steps steps;            /* behind the activation; operands are sample 0's */
    const int64_t *sample_step; /* of each step's operand: elements from sample to sample */
    void *workspace;            /* sepconv_workspace_size() bytes, aligned to 64 */
    int32_t threads;
} sepconv_job;

/* Calls task for pieces of 0 <= i < range, each at most `grain` long and beginning at a multiple of it, with `thread`
 * below the job's count of threads. */
typedef void (*sepconv_parallel)(void *host, tl_task task, void *context, int64_t range, int64_t grain);

/* TL_FLOAT, TL_DOUBLE, TL_FLOAT16 or TL_BFLOAT16 as kernels name it. */
tlk_type sepconv_type(tl_type type);
/* Channels, kernel size and filters must be known. */
void sepconv_engine_init(sepconv_engine *engine, const sepconv_params *params, const sepconv_shape *shape,
                         tl_type type);
/* Of the buffer for packed weights; and of the buffer that packing needs beside it. */
sepconv_size sepconv_packed_size(const sepconv_engine *engine);
sepconv_size sepconv_packing_size(const sepconv_engine *engine);
void sepconv_pack(const sepconv_engine *engine, const sepconv_weights *weights, void *packed, void *packing);
sepconv_size sepconv_workspace_size(const sepconv_engine *engine, const sepconv_shape *shape, int32_t threads,
                                    bool packed);
/* Computes Y. Not one bit depends on the threads, or on how batch and time are cut. */
void sepconv_compute(const sepconv_job *job, sepconv_parallel parallel, void *host);

#endif
