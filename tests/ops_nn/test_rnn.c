#include "support.h"

#include <math.h>
#include <string.h>

extern const tl_operator tl_op_RNN_14, tl_op_GRU_14, tl_op_LSTM_14, tl_op_RNN_1, tl_op_GRU_3, tl_op_LSTM_1;

enum { SIMPLE, GRU, LSTM };
enum { MOST_UNITS = 80 }; /* hidden ones */

typedef struct problem {
    int kind;
    tl_type type;
    int64_t time, batch, input, hidden, directions;
    const char *direction;
    bool bias, lengths, state, peephole, layout, linear_before_reset, input_forget, own_functions, first_version;
    float clip; /* 0: none */
    uint64_t constant;
} problem;

/* All of one problem's tensors; what is absent has no data. */
typedef struct tensors {
    tl_tensor x, w, r, b, lengths, h, c, p;
} tensors;

static double apply(const char *name, double v, double clip)
{
    if (clip > 0)
        v = v > clip ? clip : v < -clip ? -clip : v;
    if (strcmp(name, "Sigmoid") == 0)
        return 1 / (1 + exp(-v));
    if (strcmp(name, "Tanh") == 0)
        return tanh(v);
    if (strcmp(name, "HardSigmoid") == 0) /* with alpha 0.25 and beta 0.375 */
        return fmin(fmax(0.25 * v + 0.375, 0), 1);
    if (strcmp(name, "Elu") == 0) /* with alpha 0.5 */
        return v < 0 ? 0.5 * (exp(v) - 1) : v;
    return v / (1 + fabs(v)); /* Softsign */
}

static const char *const usual[3][3] = {{"Tanh"}, {"Sigmoid", "Tanh"}, {"Sigmoid", "Tanh", "Tanh"}};
static const char *const others[3] = {"HardSigmoid", "Elu", "Softsign"};

static const char *function(const problem *p, int i)
{
    return p->own_functions ? others[i] : usual[p->kind][i];
}

/* The sum of gate `gate` of unit j: the input's part, the state's part, or both; with the biases of these parts. */
static double gate_sum(const problem *p, const tensors *t, int64_t d, int64_t gate, int64_t j, int64_t step, int64_t b,
                       const double *state, bool from_input, bool from_state)
{
    const int64_t gates = p->kind == SIMPLE ? 1 : p->kind == GRU ? 3 : 4, rows = gates * p->hidden;
    const int64_t row = d * rows + gate * p->hidden + j, x = p->layout ? b * p->time + step : step * p->batch + b;
    double sum = 0;
    for (int64_t i = 0; from_input && i < p->input; i++)
        sum += get(&t->x, x * p->input + i) * get(&t->w, row * p->input + i);
    for (int64_t i = 0; from_state && i < p->hidden; i++)
        sum += state[i] * get(&t->r, row * p->hidden + i);
    if (p->bias && from_input)
        sum += get(&t->b, d * 2 * rows + gate * p->hidden + j);
    if (p->bias && from_state)
        sum += get(&t->b, d * 2 * rows + rows + gate * p->hidden + j);
    return sum;
}

static void gru_step(const problem *p, const tensors *t, int64_t d, int64_t step, int64_t b, double *h)
{
    double next[MOST_UNITS], reset[MOST_UNITS], z[MOST_UNITS];
    for (int64_t j = 0; j < p->hidden; j++) {
        z[j] = apply(function(p, 0), gate_sum(p, t, d, 0, j, step, b, h, true, true), p->clip);
        reset[j] = h[j] * apply(function(p, 0), gate_sum(p, t, d, 1, j, step, b, h, true, true), p->clip);
    }
    for (int64_t j = 0; j < p->hidden; j++) {
        double r = apply(function(p, 0), gate_sum(p, t, d, 1, j, step, b, h, true, true), p->clip);
        double sum = gate_sum(p, t, d, 2, j, step, b, h, true, false);
        sum += p->linear_before_reset ? r * gate_sum(p, t, d, 2, j, step, b, h, false, true)
                                      : gate_sum(p, t, d, 2, j, step, b, reset, false, true);
        next[j] = (1 - z[j]) * apply(function(p, 1), sum, p->clip) + z[j] * h[j];
    }
    memcpy(h, next, (size_t)p->hidden * sizeof *h);
}

static void lstm_step(const problem *p, const tensors *t, int64_t d, int64_t step, int64_t b, double *h, double *c)
{
    double next[MOST_UNITS];
    for (int64_t j = 0; j < p->hidden; j++) {
        double peep[3] = {0};
        for (int64_t k = 0; p->peephole && k < 3; k++)
            peep[k] = get(&t->p, (d * 3 + k) * p->hidden + j);
        double i = apply(function(p, 0), gate_sum(p, t, d, 0, j, step, b, h, true, true) + peep[0] * c[j], p->clip);
        double f = apply(function(p, 0), gate_sum(p, t, d, 2, j, step, b, h, true, true) + peep[2] * c[j], p->clip);
        double g = apply(function(p, 1), gate_sum(p, t, d, 3, j, step, b, h, true, true), p->clip);
        c[j] = (p->input_forget ? 1 - i : f) * c[j] + i * g;
        double o = apply(function(p, 0), gate_sum(p, t, d, 1, j, step, b, h, true, true) + peep[1] * c[j], p->clip);
        next[j] = o * apply(function(p, 2), c[j], p->clip);
    }
    memcpy(h, next, (size_t)p->hidden * sizeof *h);
}

static void naive(const problem *p, const tensors *t, double *y, double *last_h, double *last_c)
{
    for (int64_t d = 0; d < p->directions; d++)
        for (int64_t b = 0; b < p->batch; b++) {
            double h[MOST_UNITS] = {0}, c[MOST_UNITS] = {0}, next[MOST_UNITS];
            const int64_t n = p->lengths ? (int64_t)get(&t->lengths, b) : p->time;
            const int64_t at = p->layout ? b * p->directions + d : d * p->batch + b;
            const bool reverse = strcmp(p->direction, "reverse") == 0 || d == 1;
            for (int64_t j = 0; p->state && j < p->hidden; j++) {
                h[j] = get(&t->h, at * p->hidden + j);
                c[j] = p->kind == LSTM ? get(&t->c, at * p->hidden + j) : 0;
            }
            for (int64_t i = 0; i < n; i++) {
                int64_t step = reverse ? n - 1 - i : i;
                if (p->kind == LSTM)
                    lstm_step(p, t, d, step, b, h, c);
                else if (p->kind == GRU)
                    gru_step(p, t, d, step, b, h);
                else {
                    for (int64_t j = 0; j < p->hidden; j++)
                        next[j] = apply(function(p, 0), gate_sum(p, t, d, 0, j, step, b, h, true, true), p->clip);
                    memcpy(h, next, sizeof h);
                }
                int64_t row =
                    p->layout ? (b * p->time + step) * p->directions + d : (step * p->directions + d) * p->batch + b;
                memcpy(y + row * p->hidden, h, (size_t)p->hidden * sizeof *h);
            }
            memcpy(last_h + at * p->hidden, h, (size_t)p->hidden * sizeof *h);
            memcpy(last_c + at * p->hidden, c, (size_t)p->hidden * sizeof *h);
        }
}

static tl_tensor scaled(tl_type type, int32_t rank, const int64_t *dims, double scale)
{
    tl_tensor t = random_tensor(type, rank, dims);
    for (int64_t i = 0; i < elements(&t); i++)
        set(&t, i, get(&t, i) * scale);
    return t;
}

static tensors make_tensors(const problem *p)
{
    const int64_t rows = (p->kind == SIMPLE ? 1 : p->kind == GRU ? 3 : 4) * p->hidden, d = p->directions;
    const int64_t states[] = {p->layout ? p->batch : d, p->layout ? d : p->batch, p->hidden};
    const int64_t x[] = {p->layout ? p->batch : p->time, p->layout ? p->time : p->batch, p->input};
    tensors t = {.x = random_tensor(p->type, 3, x),
                 .w = scaled(p->type, DIMS(d, rows, p->input), 0.5),
                 .r = scaled(p->type, DIMS(d, rows, p->hidden), 0.25),
                 .b = random_tensor(p->type, DIMS(d, 2 * rows)),
                 .lengths = new_tensor(TL_INT32, DIMS(p->batch)),
                 .h = random_tensor(p->type, 3, states),
                 .c = random_tensor(p->type, 3, states),
                 .p = random_tensor(p->type, DIMS(d, 3 * p->hidden))};
    for (int64_t b = 0; b < p->batch; b++)
        set(&t.lengths, b, (double)random_int(0, p->time));
    return t;
}

static void free_tensors(tensors *t)
{
    free_tensor(&t->x);
    free_tensor(&t->w);
    free_tensor(&t->r);
    free_tensor(&t->b);
    free_tensor(&t->lengths);
    free_tensor(&t->h);
    free_tensor(&t->c);
    free_tensor(&t->p);
}

static size_t fill_attributes(const problem *p, fake_attribute *a, tl_string *names)
{
    static const float alphas[] = {0.25F, 0.5F, 0.25F, 0.5F}, betas[] = {0.375F, 0.375F};
    size_t count = 0, each = p->kind == SIMPLE ? 1 : p->kind == GRU ? 2 : 3, all = each * (size_t)p->directions;
    a[count++] = (fake_attribute)ATTR_S("direction", p->direction);
    a[count++] = (fake_attribute)ATTR_I("hidden_size", p->hidden);
    a[count++] =
        p->first_version ? (fake_attribute)ATTR_I("output_sequence", 1) : (fake_attribute)ATTR_I("layout", p->layout);
    if (p->clip > 0)
        a[count++] = (fake_attribute)ATTR_F("clip", p->clip);
    if (p->kind == GRU)
        a[count++] = (fake_attribute)ATTR_I("linear_before_reset", p->linear_before_reset);
    if (p->kind == LSTM)
        a[count++] = (fake_attribute)ATTR_I("input_forget", p->input_forget);
    if (!p->own_functions)
        return count;
    for (size_t i = 0; i < all; i++)
        names[i] = (tl_string){others[i % each], strlen(others[i % each])};
    a[count++] = (fake_attribute){.name = "activations", .kind = TL_ATTR_STRINGS, .strings = names, .count = all};
    /* Consumed by the functions that have one: HardSigmoid and Elu; a simple one's two HardSigmoids. */
    static const float simple[] = {0.25F, 0.25F};
    a[count++] = (fake_attribute){.name = "activation_alpha",
                                  .kind = TL_ATTR_FLOATS,
                                  .floats = p->kind == SIMPLE ? simple : alphas,
                                  .count = p->kind == SIMPLE ? (size_t)p->directions : 2 * (size_t)p->directions};
    a[count++] = (fake_attribute){
        .name = "activation_beta", .kind = TL_ATTR_FLOATS, .floats = betas, .count = (size_t)p->directions};
    return count;
}

static void check_problem(const problem *p)
{
    static const tl_operator *const operators[][3] = {{&tl_op_RNN_14, &tl_op_GRU_14, &tl_op_LSTM_14},
                                                      {&tl_op_RNN_1, &tl_op_GRU_3, &tl_op_LSTM_1}};
    fake_attribute attributes[10];
    tl_string names[6];
    tensors t = make_tensors(p);
    fake_case test = {.op = operators[p->first_version][p->kind],
                      .attributes = attributes,
                      .attribute_count = fill_attributes(p, attributes, names),
                      .inputs = {&t.x, &t.w, &t.r, p->bias ? &t.b : NULL, p->lengths ? &t.lengths : NULL,
                                 p->state ? &t.h : NULL, p->state ? &t.c : NULL, p->peephole ? &t.p : NULL},
                      .input_count = p->kind == LSTM ? 8 : 6,
                      .constant = p->constant};
    run_ok(&test);
    const size_t all = (size_t)(p->time * p->directions * p->batch * p->hidden);
    double *y = calloc(all + 1, sizeof *y), last_h[2 * 4 * MOST_UNITS] = {0}, last_c[2 * 4 * MOST_UNITS] = {0};
    naive(p, &t, y, last_h, last_c);
    const double scale = p->type == TL_BFLOAT16 || p->type == TL_FLOAT16 ? 2 : 10;
    assert_near(&test.outputs[0], y, scale, "Y");
    assert_near(&test.outputs[1], last_h, scale, "Y_h");
    if (p->kind == LSTM)
        assert_near(&test.outputs[2], last_c, scale, "Y_c");
    free(y);
    fake_free(&test);
    free_tensors(&t);
}

START_TEST(random_problems)
{
    static const tl_type types[] = {TL_FLOAT, TL_DOUBLE, TL_FLOAT16, TL_BFLOAT16};
    static const char *const directions[] = {"forward", "reverse", "bidirectional"};
    random_seed(5);
    for (int i = 0; i < 300; i++) {
        problem p = {.kind = i % 3,
                     .type = types[random_int(0, 3)],
                     .time = random_int(0, 6),
                     .batch = random_int(1, 4),
                     .input = random_int(1, 9),
                     .hidden = random_int(1, 30),
                     .direction = directions[random_int(0, 2)],
                     .bias = random_int(0, 1) != 0,
                     .lengths = random_int(0, 1) != 0,
                     .state = random_int(0, 1) != 0,
                     .peephole = i % 3 == LSTM && random_int(0, 1),
                     .layout = random_int(0, 1) != 0,
                     .linear_before_reset = random_int(0, 1) != 0,
                     .input_forget = random_int(0, 2) == 0,
                     .own_functions = random_int(0, 2) == 0,
                     .clip = random_int(0, 2) == 0 ? 0.5F : 0,
                     .constant = (uint64_t)random_int(0, 3) << 1};
        p.directions = strcmp(p.direction, "bidirectional") == 0 ? 2 : 1;
        p.first_version = !p.layout && i % 4 == 0;
        check_problem(&p);
    }
}
END_TEST

/* GRUs as nearly all are, of lengths around vectors and around the units that are computed together. */
START_TEST(usual_grus)
{
    static const int64_t sizes[] = {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 80};
    random_seed(6);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int k = 0; k < 16; k++) {
            const problem p = {.kind = GRU,
                               .type = k & 8 ? TL_DOUBLE : TL_FLOAT,
                               .time = 3,
                               .batch = k & 4 ? 2 : 1,
                               .input = 3,
                               .hidden = sizes[i],
                               .directions = 1,
                               .direction = "forward",
                               .bias = (k & 2) != 0,
                               .lengths = (k & 4) != 0,
                               .state = true,
                               .linear_before_reset = (k & 1) != 0,
                               .constant = 6};
            check_problem(&p);
        }
}
END_TEST

/* More hidden units than are computed together. */
START_TEST(only_the_last_state)
{
    tl_tensor x = random_tensor(TL_FLOAT, DIMS(3, 1, 2)), w = random_tensor(TL_FLOAT, DIMS(1, 600, 2));
    tl_tensor r = scaled(TL_FLOAT, DIMS(1, 600, 150), 0.05);
    fake_case all = {.op = &tl_op_LSTM_14, .inputs = {&x, &w, &r}, .input_count = 3};
    fake_case some = {
        .op = &tl_op_LSTM_14, .inputs = {&x, &w, &r}, .input_count = 3, .absent = 5, .constant = 6, .threads = 1};
    run_ok(&all);
    run_ok(&some);
    for (int64_t i = 0; i < 150; i++) {
        ck_assert(get(&all.outputs[0], 300 + i) == get(&all.outputs[1], i));
        ck_assert(get(&some.outputs[1], i) == get(&all.outputs[1], i));
    }
    fake_free(&all);
    fake_free(&some);
    free_tensor(&x);
    free_tensor(&w);
    free_tensor(&r);
}
END_TEST

static void fails(tl_status status, const char *text, const tl_tensor *lengths, const fake_attribute *attributes,
                  size_t count)
{
    tl_tensor x = new_tensor(TL_FLOAT, DIMS(3, 2, 4)), w = new_tensor(TL_FLOAT, DIMS(1, 15, 4));
    tl_tensor r = new_tensor(TL_FLOAT, DIMS(1, 15, 5));
    fake_case test = {.op = &tl_op_GRU_14,
                      .attributes = attributes,
                      .attribute_count = count,
                      .inputs = {&x, &w, &r, NULL, lengths},
                      .input_count = 5};
    run_fails(&test, status, text);
    free_tensor(&x);
    free_tensor(&w);
    free_tensor(&r);
}
#define FAILS(status, text, lengths, ...) fails(status, text, lengths, ATTRIBUTES(__VA_ARGS__))

START_TEST(hostile)
{
    static const tl_string wrong[] = {{"Tan", 3}, {"Tanh", 4}};
    tl_tensor lengths = new_tensor(TL_INT32, DIMS(2)), three = new_tensor(TL_INT32, DIMS(3));
    FAILS(TL_INVALID_MODEL, "direction", NULL, ATTR_S("direction", "backward"));
    FAILS(TL_INVALID_INPUT, "directions", NULL, ATTR_S("direction", "bidirectional"));
    FAILS(TL_INVALID_MODEL, "hidden_size is 0", NULL, ATTR_I("hidden_size", 0));
    FAILS(TL_INVALID_INPUT, "gates", NULL, ATTR_I("hidden_size", 4));
    FAILS(TL_INVALID_MODEL, "too large", NULL, ATTR_I("hidden_size", INT64_MAX));
    FAILS(TL_INVALID_MODEL, "clip", NULL, ATTR_F("clip", -1));
    FAILS(TL_INVALID_MODEL, "'Tan'", NULL,
          {.name = "activations", .kind = TL_ATTR_STRINGS, .strings = wrong, .count = 2});
    FAILS(TL_INVALID_MODEL, "1 names", NULL,
          {.name = "activations", .kind = TL_ATTR_STRINGS, .strings = wrong, .count = 1});
    FAILS(TL_INVALID_INPUT, "input 4", &three, ATTR_I("hidden_size", 5));
    set(&lengths, 1, 4);
    FAILS(TL_INVALID_INPUT, "sequence_lens[1] is 4", &lengths, ATTR_I("hidden_size", 5));
    set(&lengths, 1, -1);
    FAILS(TL_INVALID_INPUT, "sequence_lens[1] is -1", &lengths, ATTR_I("hidden_size", 5));
    free_tensor(&lengths);
    free_tensor(&three);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("Recurrent");
    ADD_TEST(suite, random_problems);
    ADD_TEST(suite, usual_grus);
    ADD_TEST(suite, only_the_last_state);
    ADD_TEST(suite, hostile);
    return run_suite(suite);
}
