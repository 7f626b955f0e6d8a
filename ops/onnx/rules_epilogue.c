/* Elementwise operators behind convolutions, products and each other become steps, which run while the results are in
 * the first-level cache. */
#include "onnx/rules.h"

/* `node` with `found` behind it, as the private operator `op`, whose inputs before the operands are `own`. */
static tl_status fuse(const tl_host *host, tl_rewrite *rewrite, const tl_node *node, const char *op, size_t own,
                      const steps_found *found)
{
    tl_value *inputs[4 + TLK_MAX_STEPS] = {NULL};
    for (size_t k = 0; k < own; k++)
        inputs[k] = host->node_input(node, k);
    for (size_t k = 0; k < found->operand_count; k++)
        inputs[own + k] = found->operands[k];
    tl_value *y = found->y;
    tl_node *made =
        host->new_node(rewrite, STEPS_DOMAIN, op, host->node_name(node), inputs, own + found->operand_count, &y, 1);
    if (!made)
        return TL_OK;
    host->copy_attributes(rewrite, made, node);
    steps_write(found, rewrite, made);
    return host->commit(rewrite);
}

static tl_status fuse_behind(const tl_host *host, tl_rewrite *rewrite, tl_node *node, const char *op, size_t own,
                             steps_reach reach)
{
    steps_found found;
    tl_value *y = host->node_output(node, 0);
    if (!steps_begin(host, y, &found))
        return TL_OK;
    steps_follow(&found, y, reach);
    return found.count > 0 ? fuse(host, rewrite, node, op, own, &found) : TL_OK;
}

static tl_status fuse_conv(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    return fuse_behind(host, rewrite, node, "FusedConv", 3, STEPS_CHANNELS);
}

/* Not of a vector, which leaves the result without rows or columns. */
static bool is_of_matrices(const tl_host *host, const tl_node *node)
{
    return host->value_tensor(host->node_input(node, 0))->rank >= 2 &&
           host->value_tensor(host->node_input(node, 1))->rank >= 2;
}

static tl_status fuse_matmul(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    return is_of_matrices(host, node) ? fuse_behind(host, rewrite, node, "FusedMatMul", 2, STEPS_COLUMNS) : TL_OK;
}

static tl_status fuse_gemm(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    if (host->node_descriptor(node)->since_version < 7)
        return TL_OK; /* it has one more attribute */
    return fuse_behind(host, rewrite, node, "FusedGemm", 3, STEPS_COLUMNS);
}

RULE(fuse_conv, TL_PHASE_EPILOGUE, "", "Conv", fuse_conv);
RULE(fuse_matmul, TL_PHASE_EPILOGUE, "", "MatMul", fuse_matmul);
RULE(fuse_gemm, TL_PHASE_EPILOGUE, "", "Gemm", fuse_gemm);

/* Products of bytes that are floats next: the integers go nowhere. */
static tl_status fuse_integers(const tl_host *host, tl_rewrite *rewrite, const tl_node *node, const char *op,
                               steps_reach reach)
{
    steps_found found;
    const tl_node *cast = rules_only_user(host, host->node_output(node, 0));
    tl_value *y = cast && rules_is(host, cast, "Cast") ? host->node_output(cast, 0) : NULL;
    if (!steps_begin(host, y, &found) || found.type != TL_FLOAT)
        return TL_OK;
    steps_follow(&found, y, reach);
    return fuse(host, rewrite, node, op, 4, &found);
}

static tl_status fuse_conv_integer(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    return fuse_integers(host, rewrite, node, "FusedConvInteger", STEPS_CHANNELS);
}

static tl_status fuse_matmul_integer(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    return is_of_matrices(host, node) ? fuse_integers(host, rewrite, node, "FusedMatMulInteger", STEPS_COLUMNS) : TL_OK;
}

RULE(fuse_conv_integer, TL_PHASE_EPILOGUE, "", "ConvInteger", fuse_conv_integer);
RULE(fuse_matmul_integer, TL_PHASE_EPILOGUE, "", "MatMulInteger", fuse_matmul_integer);

/* ---- Chains */

/* The input that a chain which begins with `node` begins with: one of the shape of what comes out. */
static tl_value *chain_input(const tl_host *host, const tl_node *node, steps_found *found)
{
    for (size_t k = 0; k < host->node_input_count(node) && k < 2; k++) {
        tl_value *x = host->node_input(node, k);
        if (x && !host->value_is_constant(x) && steps_begin(host, x, found) && !nn_is_half(found->type) &&
            steps_append(found, node, x, STEPS_ANY))
            return x;
    }
    return NULL;
}

/* The node that the chain through `node` begins with: rules look at nodes in any order. */
static const tl_node *chain_head(const tl_host *host, const tl_node *node)
{
    steps_found found;
    for (int i = 0; i < TLK_MAX_STEPS; i++) {
        const tl_value *x = chain_input(host, node, &found);
        const tl_node *before = x && host->value_use_count(x) == 1 ? host->value_producer(x) : NULL;
        if (!before || !chain_input(host, before, &found) || !steps_append(&found, node, x, STEPS_ANY))
            break;
        node = before;
    }
    return node;
}

static tl_status fuse_elementwise(const tl_host *host, tl_rewrite *rewrite, tl_node *node)
{
    steps_found found;
    if (!(host->node_descriptor(node)->flags & TL_OP_ELEMENTWISE))
        return TL_OK;
    const tl_node *head = chain_head(host, node);
    tl_value *x = chain_input(host, head, &found);
    if (!x)
        return TL_OK;
    found.most_operands = STEPS_CHAIN_OPERANDS - 1;
    steps_follow(&found, found.y, STEPS_ANY);
    if (found.count < 2)
        return TL_OK;
    tl_value *inputs[1 + TLK_MAX_STEPS] = {x}, *y = found.y;
    memcpy(inputs + 1, found.operands, found.operand_count * sizeof inputs[0]);
    tl_node *made = host->new_node(rewrite, STEPS_DOMAIN, "Elementwise", host->node_name(head), inputs,
                                   1 + found.operand_count, &y, 1);
    steps_write(&found, rewrite, made);
    return made ? host->commit(rewrite) : TL_OK;
}

RULE(fuse_elementwise, TL_PHASE_EPILOGUE, "", RULES_ANY_OPERATOR, fuse_elementwise);
