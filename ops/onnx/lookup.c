/* A function of bytes by its table: what rules_quantized.c makes of operators between DequantizeLinear and
 * QuantizeLinear. */
#include "kernels/kernels.h"
#include "onnx/nn.h"
#include "onnx/quant.h"
#include "onnx/steps.h"

static const tl_param ins[] = {OP_IN("x", QUANT_BYTES, 0), OP_IN("table", QUANT_BYTES, 'T')};
static const tl_param outs[] = {OP_IN("y", QUANT_BYTES, 'T')};

static tl_status lookup_reshape(tl_call *call)
{
    const tl_tensor *table = call->inputs[1];
    op_copy_shape(call->outputs[0], call->inputs[0]);
    if (nn_product(table, 0, table->rank) >= 0 && op_elements(table) != 256)
        return tl_fail(call, TL_INVALID_INPUT, "the table has %lld elements, not 256", (long long)op_elements(table));
    return TL_OK;
}

static void lookup_task(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const tl_call *call = context;
    (void)thread;
    tlk_get()->lookup(call->inputs[1]->data, (const uint8_t *)call->inputs[0]->data + begin, 1, end - begin,
                      (uint8_t *)call->outputs[0]->data + begin, 0);
}

static tl_status lookup_run(tl_call *call)
{
    call->host->parallel_for(call, lookup_task, call, op_elements(call->inputs[0]), 1 << 15);
    return TL_OK;
}

OP_DESCRIPTOR(Lookup, 1) = {OP_HEAD_IN(STEPS_DOMAIN, Lookup, 1), OP_PARAMS(input, ins), OP_PARAMS(output, outs),
                            .reshape = lookup_reshape,           .run = lookup_run,     .reach = op_reach_first};
