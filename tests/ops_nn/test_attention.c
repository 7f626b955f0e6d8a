/* Attention, RotaryEmbedding and the losses. */
#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_FusedAttention_1, tl_op_Attention_25, tl_op_RotaryEmbedding_23,
    tl_op_NegativeLogLikelihoodLoss_12;
extern const tl_operator tl_op_SoftmaxCrossEntropyLoss_12;

static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};

typedef struct problem {
    tl_type type;
    int64_t batch, heads, each, queries, keys, past, size, value_size; /* `each`: query heads for each head */
    bool packed, causal, lengths;
    int mask; /* 0 none, 1 booleans, 2 numbers, 3 booleans that are too few */
    int64_t left, right;
    float softcap;
} problem;

typedef struct tensors {
    tl_tensor q, k, v, mask, past_key, past_value, lengths;
} tensors;

/* Element d of position t of head h. */
static double at(const problem *p, const tl_tensor *x, int64_t heads, int64_t length, int64_t size, int64_t b,
                 int64_t h, int64_t t, int64_t d)
{
    return get(x, p->packed ? ((b * length + t) * heads + h) * size + d : ((b * heads + h) * length + t) * size + d);
}

static double joined(const problem *p, const tl_tensor *past, const tl_tensor *x, int64_t size, int64_t b, int64_t h,
                     int64_t t, int64_t d)
{
    return t < p->past ? get(past, ((b * p->heads + h) * p->past + t) * size + d)
                       : at(p, x, p->heads, p->keys, size, b, h, t - p->past, d);
}

static void naive_row(const problem *p, const tensors *x, int64_t b, int64_t h, int64_t i, double *y)
{
    const int64_t total = p->past + p->keys, kv = h / p->each, heads = p->heads * p->each;
    const int64_t length = p->lengths ? (int64_t)get(&x->lengths, b) : total;
    const int64_t position = i + (p->lengths ? length - p->queries : p->past);
    double scores[64], greatest = -INFINITY, sum = 0;
    for (int64_t j = 0; j < total; j++) {
        double s = 0;
        for (int64_t d = 0; d < p->size; d++)
            s += at(p, &x->q, heads, p->queries, p->size, b, h, i, d) *
                 joined(p, &x->past_key, &x->k, p->size, b, kv, j, d);
        s /= sqrt((double)p->size);
        if (p->softcap > 0)
            s = (double)p->softcap * tanh(s / (double)p->softcap);
        const int64_t width = p->mask == 3 ? total - 1 : total;
        const bool hidden = j >= length || (p->causal && j > position) || (p->left >= 0 && j < position - p->left) ||
                            (p->right >= 0 && j > position + p->right) || (p->mask && j >= width) ||
                            (p->mask && p->mask != 2 && get(&x->mask, i * width + j) == 0);
        if (hidden)
            s = -INFINITY;
        else if (p->mask == 2) /* what is masked does not count, even NaN */
            s = isinf(get(&x->mask, i * width + j)) ? -INFINITY : s + get(&x->mask, i * width + j);
        scores[j] = s;
        greatest = fmax(greatest, s);
    }
    for (int64_t j = 0; j < total; j++)
        sum += scores[j] = scores[j] == -INFINITY ? 0 : exp(scores[j] - greatest);
    for (int64_t d = 0; d < p->value_size; d++) {
        y[d] = 0;
        for (int64_t j = 0; j < total && sum > 0; j++)
            y[d] += scores[j] / sum * joined(p, &x->past_value, &x->v, p->value_size, b, kv, j, d);
    }
}

static tl_tensor make_sequence(const problem *p, int64_t heads, int64_t length, int64_t size)
{
    return p->packed ? random_tensor(p->type, DIMS(p->batch, length, heads * size))
                     : random_tensor(p->type, DIMS(p->batch, heads, length, size));
}

/* Masks some scores, among them all of one key, which is NaN. */
static void mask_some(const problem *p, tensors *x)
{
    const int64_t total = p->past + p->keys, masked = random_int(0, p->keys - 1);
    for (int64_t i = 0; i < elements(&x->mask); i++)
        if (i % total == p->past + masked || random_int(0, 4) == 0)
            set(&x->mask, i, -INFINITY);
    for (int64_t i = 0; i < elements(&x->k); i++)
        if ((p->packed ? i / (p->heads * p->size) : i / p->size) % p->keys == masked)
            set(&x->k, i, NAN);
}

static void check_problem(const problem *p)
{
    const int64_t total = p->past + p->keys, heads = p->heads * p->each;
    tensors x = {
        .q = make_sequence(p, heads, p->queries, p->size),
        .k = make_sequence(p, p->heads, p->keys, p->size),
        .v = make_sequence(p, p->heads, p->keys, p->value_size),
        .mask = random_tensor(p->mask == 2 ? p->type : TL_BOOL, DIMS(p->queries, p->mask == 3 ? total - 1 : total)),
        .past_key = random_tensor(p->type, DIMS(p->batch, p->heads, p->past, p->size)),
        .past_value = random_tensor(p->type, DIMS(p->batch, p->heads, p->past, p->value_size)),
        .lengths = new_tensor(TL_INT64, DIMS(p->batch))};
    for (int64_t i = 0; p->mask != 2 && i < elements(&x.mask); i++)
        set(&x.mask, i, (double)random_int(0, 1));
    if (p->mask == 2 && p->keys > 0)
        mask_some(p, &x);
    for (int64_t b = 0; b < p->batch; b++)
        set(&x.lengths, b, (double)random_int(0, total));
    fake_attribute a[] = {ATTR_I("is_causal", p->causal),        ATTR_I("left_window_size", p->left),
                          ATTR_I("right_window_size", p->right), ATTR_F("softcap", p->softcap),
                          ATTR_I("q_num_heads", heads),          ATTR_I("kv_num_heads", p->heads)};
    fake_case test = {.op = &tl_op_Attention_25,
                      .attributes = a,
                      .attribute_count = p->packed ? 6 : 4,
                      .inputs = {&x.q, &x.k, &x.v, p->mask ? &x.mask : NULL, p->past ? &x.past_key : NULL,
                                 p->past ? &x.past_value : NULL, p->lengths ? &x.lengths : NULL},
                      .input_count = 7,
                      .absent = (uint64_t)random_int(0, 3) << 1 | 8};
    run_ok(&test);
    if (p->packed)
        assert_shape(&test.outputs[0], DIMS(p->batch, p->queries, heads * p->value_size));
    else
        assert_shape(&test.outputs[0], DIMS(p->batch, heads, p->queries, p->value_size));
    double row[16], allowed = 4 * tolerance(p->type);
    for (int64_t i = 0; i < p->batch * heads * p->queries; i++) {
        const int64_t b = i / (heads * p->queries), h = i / p->queries % heads, t = i % p->queries;
        naive_row(p, &x, b, h, t, row);
        for (int64_t d = 0; d < p->value_size; d++) {
            double have = at(p, &test.outputs[0], heads, p->queries, p->value_size, b, h, t, d);
            ck_assert_msg(fabs(have - row[d]) <= allowed, "type %d: %g, not %g", p->type, have, row[d]);
        }
    }
    for (int64_t i = 0; test.outputs[1].data && i < elements(&test.outputs[1]); i++) {
        int64_t d = i % p->size, t = i / p->size % total, h = i / p->size / total % p->heads,
                b = i / p->size / total / p->heads;
        const double want = joined(p, &x.past_key, &x.k, p->size, b, h, t, d);
        ck_assert(get(&test.outputs[1], i) == want || isnan(want));
    }
    fake_free(&test);
    tl_tensor *all[] = {&x.q, &x.k, &x.v, &x.mask, &x.past_key, &x.past_value, &x.lengths};
    for (size_t i = 0; i < 7; i++)
        free_tensor(all[i]);
}

START_TEST(attention)
{
    random_seed(9);
    for (int i = 0; i < 400; i++) {
        problem p = {.type = types[random_int(0, 3)],
                     .batch = random_int(1, 2),
                     .heads = random_int(1, 3),
                     .each = random_int(1, 3),
                     .queries = random_int(1, i % 20 == 0 ? 150 : 9),
                     .keys = random_int(1, 40),
                     .past = random_int(0, 2) ? 0 : random_int(1, 9),
                     .size = i % 20 ? random_int(1, 16) : 32, /* then tiles pay, where there are some */
                     .value_size = random_int(1, 16),
                     .packed = random_int(0, 1) != 0,
                     .causal = random_int(0, 1) != 0,
                     .mask = (int)random_int(0, 3),
                     .left = random_int(-1, 5),
                     .right = random_int(-1, 5),
                     .softcap = random_int(0, 3) ? 0 : 0.5F};
        p.lengths = p.past == 0 && random_int(0, 2) == 0;
        p.mask = p.mask == 3 && p.past + p.keys < 2 ? 0 : p.mask;
        check_problem(&p);
    }
}
END_TEST

/* ---- The private form */

enum { Q, K, V, Y, MASK, OPERANDS };

/* A tensor whose axis axes[i] is [batch][head][position][feature] number i + 4 - rank. */
typedef struct placed {
    tl_tensor tensor;
    int64_t dims[4], axes[4];
} placed;

static placed place(tl_type type, int32_t rank, bool moved, int64_t a, int64_t b, int64_t c, int64_t d)
{
    placed p = {.dims = {a, b, c, d}};
    int64_t own[4];
    for (int32_t i = 0; i < rank; i++)
        p.axes[i] = i;
    for (int32_t i = rank - 1; moved && i > 0; i--) {
        const int64_t other = random_int(0, i), axis = p.axes[i];
        p.axes[i] = p.axes[other];
        p.axes[other] = axis;
    }
    for (int32_t i = 0; i < rank; i++)
        own[p.axes[i]] = p.dims[4 - rank + i];
    p.tensor = random_tensor(type, rank, own);
    return p;
}

static double placed_at(const placed *p, const tl_tensor *tensor, const int64_t *index)
{
    const int32_t rank = tensor->rank;
    int64_t at[4], flat = 0;
    for (int32_t i = 0; i < rank; i++)
        at[p->axes[i]] = p->dims[4 - rank + i] == 1 ? 0 : index[4 - rank + i];
    for (int32_t i = 0; i < rank; i++)
        flat = flat * tensor->dims[i] + at[i];
    return get(tensor, flat);
}

/* Row i of head h of batch b, of scores that have `total` columns. */
static void naive_fused_row(const placed *p, double scale, bool nan_is_zero, int64_t total, const int64_t *row,
                            double *y)
{
    double scores[200], greatest = -INFINITY, sum = 0;
    const int64_t b = row[0], h = row[1], i = row[2];
    for (int64_t j = 0; j < total; j++) {
        scores[j] = 0;
        for (int64_t d = 0; d < p[Q].dims[3]; d++)
            scores[j] += placed_at(&p[Q], &p[Q].tensor, (int64_t[]){b, h, i, d}) *
                         placed_at(&p[K], &p[K].tensor, (int64_t[]){b, h, j, d});
        scores[j] *= scale;
        if (p[MASK].tensor.data)
            scores[j] += placed_at(&p[MASK], &p[MASK].tensor, (int64_t[]){b, h, i, j});
        greatest = fmax(greatest, scores[j]);
    }
    for (int64_t j = 0; j < total; j++)
        sum += scores[j] = exp(scores[j] - greatest);
    for (int64_t d = 0; d < p[V].dims[3]; d++) {
        y[d] = 0;
        for (int64_t j = 0; j < total; j++)
            y[d] += (isnan(sum) && nan_is_zero ? 0 : scores[j] / sum) *
                    placed_at(&p[V], &p[V].tensor, (int64_t[]){b, h, j, d});
    }
}

static int64_t or_one(int64_t n)
{
    return random_int(0, 4) ? n : 1;
}

static void check_fused(int number)
{
    const tl_type type = number % 4 == 1 ? TL_DOUBLE : TL_FLOAT;
    const int32_t rank = (int32_t)random_int(2, 4);
    const bool masked = random_int(0, 1), nan_is_zero = random_int(0, 1);
    const double scale = random_real();
    int64_t bits;
    memcpy(&bits, &scale, sizeof bits);
    const int64_t b = rank == 4 ? random_int(1, 2) : 1, h = rank >= 3 ? random_int(1, 3) : 1;
    const int64_t size = number % 8 ? random_int(0, 20) : 32 * random_int(1, 3);
    const int64_t queries = random_int(1, number % 8 ? 20 : 300), total = random_int(1, number % 8 ? 40 : 150);
    placed p[OPERANDS] = {
        [Q] = place(type, rank, number % 3 == 0, or_one(b), or_one(h), masked ? or_one(queries) : queries, size),
        [K] = place(type, rank, number % 3 == 0, or_one(b), or_one(h), masked ? or_one(total) : total, size),
        [V] = place(type, rank, number % 3 == 0, b, h, total, number % 8 ? random_int(1, 40) : random_int(40, 60)),
        [MASK] = place(type, masked ? rank : 0, false, or_one(b), or_one(h), queries, total)};
    p[Y] = place(type, rank, true, b, h, queries, p[V].dims[3]);
    for (int64_t i = 0; masked && i < elements(&p[MASK].tensor); i++)
        if (i / total % 3 == 0 || random_int(0, 3) == 0)
            set(&p[MASK].tensor, i, -INFINITY);
    int64_t axes[16];
    for (int32_t k = Q; k <= Y; k++)
        memcpy(axes + k * rank, p[k].axes, (size_t)rank * sizeof axes[0]);
    const fake_attribute a[] = {{.name = "axes", .kind = TL_ATTR_INTS, .ints = axes, .count = 4 * (size_t)rank},
                                ATTR_I("nan_is_zero", nan_is_zero),
                                ATTR_I("scale", bits)};
    fake_case test = {
        .op = &tl_op_FusedAttention_1,
        .attributes = a,
        .attribute_count = 3,
        .inputs = {&p[Q].tensor, &p[K].tensor, &p[V].tensor, masked ? &p[MASK].tensor : NULL},
        .input_count = 4,
        .threads = number % 3 + 1,
    };
    if (!masked) {
        free_tensor(&p[MASK].tensor);
        p[MASK].tensor.data = NULL;
    }
    run_ok(&test);
    assert_shape(&test.outputs[0], rank, p[Y].tensor.dims);
    double row[60];
    for (int64_t i = 0; i < b * h * queries; i++) {
        int64_t at[] = {i / queries / h, i / queries % h, i % queries, 0};
        naive_fused_row(p, scale, nan_is_zero, total, at, row);
        for (; at[3] < p[V].dims[3]; at[3]++) {
            const double have = placed_at(&p[Y], &test.outputs[0], at), want = row[at[3]];
            ck_assert_msg((isnan(have) && isnan(want)) || fabs(have - want) <= 4 * tolerance(type),
                          "%d, type %d: %g, not %g", number, type, have, want);
        }
    }
    fake_free(&test);
    for (int k = Q; k < OPERANDS; k++)
        free_tensor(&p[k].tensor);
}

START_TEST(fused)
{
    random_seed(10);
    for (int i = 0; i < 400; i++)
        check_fused(i);
}
END_TEST

START_TEST(fused_refuses)
{
    tl_tensor q = new_tensor(TL_FLOAT, DIMS(3, 8)), other = new_tensor(TL_FLOAT, DIMS(3, 7)),
              deep = new_tensor(TL_FLOAT, DIMS(1, 3, 8));
    const fake_attribute good[] = {ATTR_IS("axes", 0, 1, 0, 1, 0, 1, 0, 1)},
                         twice[] = {ATTR_IS("axes", 0, 1, 0, 0, 0, 1, 0, 1)},
                         few[] = {ATTR_IS("axes", 0, 1, 0, 1, 0, 1)},
                         beyond[] = {ATTR_IS("axes", 0, 1, 0, 1, 0, 1, 0, 64)};
    fake_case test = {.op = &tl_op_FusedAttention_1,
                      .attributes = good,
                      .attribute_count = 1,
                      .inputs = {&q, &q, &q},
                      .input_count = 4};
    run_ok(&test);
    fake_free(&test);
    test.inputs[1] = &other;
    run_fails(&test, TL_INVALID_INPUT, "do not fit each other");
    test.inputs[1] = &deep;
    run_fails(&test, TL_INVALID_INPUT, "input 1 has rank 3");
    test.inputs[1] = &q;
    test.inputs[3] = &deep;
    run_fails(&test, TL_INVALID_INPUT, "input 3 has rank 3");
    test.inputs[3] = &other;
    run_fails(&test, TL_INVALID_INPUT, "does not broadcast");
    test.inputs[3] = NULL;
    const fake_attribute *const bad[] = {twice, few, beyond};
    for (int i = 0; i < 3; i++) {
        test.attributes = bad[i];
        run_fails(&test, TL_INVALID_INPUT, "does not fit");
    }
    free_tensor(&q);
    free_tensor(&other);
    free_tensor(&deep);
}
END_TEST

START_TEST(attention_refuses)
{
    tl_tensor q = new_tensor(TL_FLOAT, DIMS(1, 3, 8)), k = new_tensor(TL_FLOAT, DIMS(1, 5, 4)),
              d = new_tensor(TL_DOUBLE, DIMS(1, 5, 4));
    tl_tensor mask = new_tensor(TL_FLOAT, DIMS(2, 5)), long_mask = new_tensor(TL_FLOAT, DIMS(3, 6)),
              past = new_tensor(TL_FLOAT, DIMS(1, 1, 2, 4));
    tl_tensor lengths = new_tensor(TL_INT64, DIMS(1));
    fake_attribute a[] = {ATTR_I("q_num_heads", 2), ATTR_I("kv_num_heads", 1), ATTR_I("qk_matmul_output_mode", 0)};
    fake_case test = {
        .op = &tl_op_Attention_25, .attributes = a, .attribute_count = 3, .inputs = {&q, &k, &k}, .input_count = 7};
    run_ok(&test);
    fake_free(&test);
    test.inputs[3] = &mask;
    run_fails(&test, TL_INVALID_INPUT, "attn_mask");
    test.inputs[3] = &long_mask;
    run_fails(&test, TL_INVALID_INPUT, "attn_mask");
    test.inputs[3] = NULL;
    test.inputs[4] = &past;
    run_fails(&test, TL_INVALID_MODEL, "past_value");
    test.inputs[4] = NULL;
    test.inputs[2] = &d;
    run_fails(&test, TL_UNSUPPORTED, "double");
    test.inputs[2] = &k;
    test.inputs[6] = &lengths;
    set(&lengths, 0, 6);
    run_fails(&test, TL_INVALID_INPUT, "nonpad_kv_seqlen[0] is 6");
    a[0].i = 3;
    run_fails(&test, TL_INVALID_INPUT, "3 heads");
    a[0].i = 0;
    run_fails(&test, TL_INVALID_MODEL, "q_num_heads");
    a[0].i = 2;
    a[2].i = 4;
    run_fails(&test, TL_INVALID_MODEL, "qk_matmul_output_mode");
    tl_tensor *all[] = {&q, &k, &d, &mask, &long_mask, &past, &lengths};
    for (size_t i = 0; i < 7; i++)
        free_tensor(all[i]);
}
END_TEST

START_TEST(rotary)
{
    for (int t = 0; t < 4; t++)
        for (int kind = 0; kind < 8; kind++) {
            const bool packed = kind & 1, positions = kind & 2, interleaved = kind & 4;
            const int64_t size = 10, turned = kind % 3 ? 10 : 6, half = turned / 2;
            tl_tensor x =
                packed ? random_tensor(types[t], DIMS(2, 5, 3 * size)) : random_tensor(types[t], DIMS(2, 3, 5, size));
            tl_tensor c =
                positions ? random_tensor(types[t], DIMS(9, half)) : random_tensor(types[t], DIMS(2, 5, half));
            tl_tensor s =
                positions ? random_tensor(types[t], DIMS(9, half)) : random_tensor(types[t], DIMS(2, 5, half));
            tl_tensor ids = new_tensor(TL_INT64, DIMS(2, 5));
            for (int64_t i = 0; i < 10; i++)
                set(&ids, i, (double)random_int(0, 8));
            const fake_attribute a[] = {ATTR_I("num_heads", 3), ATTR_I("interleaved", interleaved),
                                        ATTR_I("rotary_embedding_dim", turned)};
            fake_case test = {.op = &tl_op_RotaryEmbedding_23,
                              .attributes = a,
                              .attribute_count = 3,
                              .inputs = {&x, &c, &s, positions ? &ids : NULL},
                              .input_count = 4};
            run_ok(&test);
            double want[300];
            for (int64_t i = 0; i < 300; i++) {
                int64_t d = i % size, token = packed ? i / 30 : i / 150 * 5 + i / 10 % 5;
                int64_t pair = interleaved ? d / 2 : d % half, second = interleaved ? d % 2 : d / half;
                int64_t angle = (positions ? (int64_t)get(&ids, token) : token) * half + pair;
                want[i] = get(&x, i);
                if (d >= turned)
                    continue;
                double other = get(&x, i - d + (interleaved ? d ^ 1 : (d + half) % turned));
                want[i] = second ? get(&s, angle) * other + get(&c, angle) * want[i]
                                 : get(&c, angle) * want[i] - get(&s, angle) * other;
            }
            assert_near(&test.outputs[0], want, 2, "RotaryEmbedding");
            fake_free(&test);
            set(&ids, 3, 9);
            if (positions)
                run_fails(&test, TL_INVALID_INPUT, "position 3 is 9");
            free_tensor(&x);
            free_tensor(&c);
            free_tensor(&s);
            free_tensor(&ids);
        }
}
END_TEST

START_TEST(losses)
{
    static const char *const reductions[] = {"none", "sum", "mean"};
    for (int t = 0; t < 4; t++)
        for (int kind = 0; kind < 24; kind++) {
            const bool softmax = kind & 1, weighted = kind & 2, ignoring = kind & 4;
            const char *reduction = reductions[kind / 8];
            tl_tensor x = random_tensor(types[t], DIMS(3, 4, 5)), w = random_tensor(types[t], DIMS(4));
            tl_tensor labels = new_tensor(TL_INT32, DIMS(3, 5));
            for (int64_t i = 0; i < 15; i++)
                set(&labels, i, ignoring && i % 4 == 0 ? -7 : (double)random_int(0, 3));
            const fake_attribute a[] = {ATTR_S("reduction", reduction), ATTR_I("ignore_index", -7)};
            fake_case test = {.op = softmax ? &tl_op_SoftmaxCrossEntropyLoss_12 : &tl_op_NegativeLogLikelihoodLoss_12,
                              .attributes = a,
                              .attribute_count = ignoring ? 2 : 1,
                              .inputs = {&x, &labels, weighted ? &w : NULL},
                              .input_count = 3};
            run_ok(&test);
            double want[15], sum = 0, weights = 0;
            for (int64_t i = 0; i < 15; i++) {
                int64_t label = (int64_t)get(&labels, i), first = i / 5 * 20 + i % 5;
                double total = 0, weight = label < 0 ? 0 : weighted ? get(&w, label) : 1;
                for (int64_t c = 0; c < 4; c++)
                    total += exp(get(&x, first + c * 5));
                want[i] = label < 0 ? 0 : -(get(&x, first + label * 5) - (softmax ? log(total) : 0)) * weight;
                sum += want[i];
                weights += weight;
            }
            if (kind / 8)
                want[0] = kind / 8 == 1 ? sum : sum / weights;
            assert_near(&test.outputs[0], want, 4, test.op->name);
            fake_free(&test);
            set(&labels, 1, 4);
            run_fails(&test, TL_INVALID_INPUT, "label 1 is 4");
            free_tensor(&x);
            free_tensor(&w);
            free_tensor(&labels);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Attention and losses");
    ADD_TEST(suite, attention);
    ADD_TEST(suite, attention_refuses);
    ADD_TEST(suite, fused);
    ADD_TEST(suite, fused_refuses);
    ADD_TEST(suite, rotary);
    ADD_TEST(suite, losses);
    return run_suite(suite);
}
