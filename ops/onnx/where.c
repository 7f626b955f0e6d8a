/* Where: elements of X where the condition holds, else of Y; all three broadcast. */
#include "onnx/elementwise.h"
#include "onnx/tensor.h"

static tl_status reshape(tl_call *call)
{
    tl_status status = op_broadcast(call, call->inputs, 3, call->outputs[0]);
    if (!status && call->plan)
        op_map_init(call->plan, call->outputs[0], call->inputs, 3, 1);
    return status;
}

typedef struct job {
    const uint8_t *condition;
    const uint8_t *x, *y;
    uint8_t *out;
    const int32_t *step;
} job;

/* Elements are only moved, so that their size is all that matters. */
typedef struct pair16 {
    uint64_t words[2];
} pair16;

#define ROW(T)                                                                                          \
    static void row_##T(const void *context, const int64_t *in, int64_t at, int64_t n)                  \
    {                                                                                                   \
        const job *j = context;                                                                         \
        const uint8_t *c = j->condition + in[0];                                                        \
        const T *x = (const T *)(const void *)j->x + in[1], *y = (const T *)(const void *)j->y + in[2]; \
        T *out = (T *)(void *)j->out + at;                                                              \
        const int32_t cs = j->step[0], xs = j->step[1], ys = j->step[2];                                \
        if (cs && xs && ys) {                                                                           \
            OP_INDEPENDENT for (int64_t i = 0; i < n; i++) out[i] = c[i] ? x[i] : y[i];                 \
            return;                                                                                     \
        }                                                                                               \
        for (int64_t i = 0; i < n; i++)                                                                 \
            out[i] = c[i * cs] ? x[i * xs] : y[i * ys];                                                 \
    }
ROW(uint8_t)
ROW(uint16_t)
ROW(uint32_t)
ROW(uint64_t)
ROW(pair16)

static tl_status run(tl_call *call)
{
    const op_map *map = call->plan;
    const job j = {call->inputs[0]->data, call->inputs[1]->data, call->inputs[2]->data, call->outputs[0]->data,
                   map->step};
    switch (op_type_size(call->outputs[0]->type)) {
    case 1:
        op_map_run(call, map, row_uint8_t, &j);
        break;
    case 2:
        op_map_run(call, map, row_uint16_t, &j);
        break;
    case 4:
        op_map_run(call, map, row_uint32_t, &j);
        break;
    case 8:
        op_map_run(call, map, row_uint64_t, &j);
        break;
    default:
        op_map_run(call, map, row_pair16, &j);
        break;
    }
    return TL_OK;
}

static const tl_param ins[] = {OP_IN("condition", OP_T_BOOL, 0), OP_IN("X", OP_T_CLASSIC, 'T'),
                               OP_IN("Y", OP_T_CLASSIC, 'T')};
static const tl_param outs[] = {OP_IN("output", OP_T_CLASSIC, 'T')};

OP_DESCRIPTOR(Where, 9) = {OP_HEAD(Where, 9),
                           OP_PARAMS(input, ins),
                           OP_PARAMS(output, outs),
                           .flags = TL_OP_ELEMENTWISE,
                           .plan_size = sizeof(op_map),
                           .reshape = reshape,
                           .run = run};
