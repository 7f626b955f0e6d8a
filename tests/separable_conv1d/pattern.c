#include "separable_conv1d/pattern.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double next_gap(const outcome *a, const outcome *b)
{
    double worst = 0;
    const int64_t count = tl_tensor_elements(&a->tensor);
    ck_assert_int_eq(a->tensor.rank, b->tensor.rank);
    for (int32_t i = 0; i < a->tensor.rank; i++)
        ck_assert_int_eq(a->tensor.dims[i], b->tensor.dims[i]);
    for (int64_t i = 0; i < count; i++) {
        const double x = get_number(a->tensor.type, a->tensor.data, i);
        const double y = get_number(b->tensor.type, b->tensor.data, i);
        worst = fmax(worst, fabs(x - y) / fmax(1, fabs(x)));
        ck_assert(!isnan(x) && !isnan(y));
    }
    return worst;
}

static void add_named(model *m, const char *text)
{
    char name[16];
    const size_t size = strcspn(text, " ");
    snprintf(name, sizeof name, "%.*s", (int)size, text);
    if (text[size + 1] == '[')
        add_numbers(m, name, text + size + 2);
    else
        add_weights(m, name, text + size + 1);
}

model build_pattern(const pattern *p)
{
    model m = {.opset = p->opset};
    add_input(&m, "x", TL_FLOAT, p->x);
    for (int i = 0; i < 8 && p->constants[i] != NULL; i++)
        add_named(&m, p->constants[i]);
    for (int i = 0; i < 14 && p->steps[i].op != NULL; i++)
        add_node(&m, p->steps[i].op, p->steps[i].inputs, p->steps[i].outputs, p->steps[i].attributes);
    add_output(&m, "y", TL_FLOAT);
    return m;
}

tl_tensor input_of(const char *dims, float *room, size_t most)
{
    tl_tensor x = {.data = room, .type = TL_FLOAT};
    uint64_t state = 77;
    x.rank = parse_dims(dims, 0, x.dims);
    ck_assert_int_le(tl_tensor_elements(&x), (int64_t)most);
    for (int64_t i = 0; i < tl_tensor_elements(&x); i++)
        room[i] = (float)(2 * noise(&state));
    return x;
}

outcome check_model(const char *name, const model *m, const char *dims)
{
    float room[2048];
    const tl_tensor x = input_of(dims, room, 2048);
    outcome plain = run_model(m, 1, false, &x, 1);
    ck_assert_msg(plain.status == TL_OK, "%s: %s", name, plain.error.message);
    outcome fused = run_model(m, 1, true, &x, 1);
    ck_assert_msg(fused.status == TL_OK, "%s, rewritten: %s", name, fused.error.message);
    const double gap = next_gap(&plain, &fused);
    ck_assert_msg(gap <= 1e-5, "%s: values differ by %g", name, gap);
    free_outcome(&plain);
    return fused;
}
