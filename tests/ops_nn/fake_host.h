/* Runs one operator without a graph, by the rules of tapline/plugin.h, and checks the operator's side of them. */
#ifndef FAKE_HOST_H
#define FAKE_HOST_H

#include "tapline/plugin.h"

#define FAKE_MAX_PARAMS 16

typedef struct fake_attribute {
    const char *name;
    tl_attribute_kind kind;
    int64_t i;
    float f;
    const char *s;
    const int64_t *ints;
    const float *floats;
    const tl_string *strings;
    size_t count;
    const tl_tensor *tensor;
} fake_attribute;

#define ATTR_I(label, value)                           \
    {                                                  \
        .name = label, .kind = TL_ATTR_INT, .i = value \
    }
#define ATTR_F(label, value)                             \
    {                                                    \
        .name = label, .kind = TL_ATTR_FLOAT, .f = value \
    }
#define ATTR_S(label, value)                              \
    {                                                     \
        .name = label, .kind = TL_ATTR_STRING, .s = value \
    }
#define ATTR_IS(label, ...)                                                          \
    {                                                                                \
        .name = label, .kind = TL_ATTR_INTS, .ints = (const int64_t[]){__VA_ARGS__}, \
        .count = sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)            \
    }
#define ATTR_FS(label, ...)                                                            \
    {                                                                                  \
        .name = label, .kind = TL_ATTR_FLOATS, .floats = (const float[]){__VA_ARGS__}, \
        .count = sizeof((const float[]){__VA_ARGS__}) / sizeof(float)                  \
    }
/* A list of them, and its length. */
#define ATTRIBUTES(...) \
    (const fake_attribute[]){__VA_ARGS__}, sizeof((const fake_attribute[]){__VA_ARGS__}) / sizeof(fake_attribute)

typedef struct fake_case {
    const tl_operator *op;
    int32_t version; /* of the import; 0: op->since_version */
    const fake_attribute *attributes;
    size_t attribute_count;
    const tl_tensor *inputs[FAKE_MAX_PARAMS]; /* NULL: absent */
    size_t input_count;
    uint64_t constant;                  /* bit k: input k is a constant, seen by create */
    uint64_t absent;                    /* bit k: nobody wants output k */
    tl_tensor outputs[FAKE_MAX_PARAMS]; /* results, by malloc; fake_free */
    size_t output_count;                /* 0: all of the schema's */
    int32_t threads;                    /* 0: 3 */
    char message[1024];
    /* private */
    bool running;
    const tl_call *call; /* what it fails with: copies stand in no frame of the runtime */
} fake_case;

/* Does everything that the runtime does with a node: reshape ahead of the run with symbols for the dimensions (whose
 * result must agree with the real shapes), create, reshape, run. Where that goes well and the operator was not the last
 * call's, too, the same again and again, each time without one of the first allocations it asked for. A broken rule
 * aborts. */
tl_status fake_run(fake_case *test);
void fake_free(fake_case *test);
size_t fake_bytes(const tl_tensor *tensor);

#endif
