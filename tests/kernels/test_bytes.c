/* Products of bytes against naive sums of 64 bits: all signednesses, zero points, forms of results and instruction
 * sets; guarded buffers; the same bits for any cut. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/run.h"
#include "guard.h"
#include "kernels/kernels.h"

typedef struct problem {
    int64_t m, n, depth, taps; /* of a matrix product one tap, else taps lie side by side in B's lanes */
    bool a_signed, b_signed;
    int extreme; /* -1, 1: all bytes are the lowest or the highest */
} problem;

typedef struct buffers {
    guarded a, b, start, rows[2], lanes[3], scale, add, c;
} buffers;

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static guarded random_bytes(const problem *p, bool is_signed, int64_t n, int before, uint32_t *state)
{
    guarded g = guarded_alloc((size_t)n, before);
    for (int64_t i = 0; i < n; i++)
        ((uint8_t *)g.data)[i] = (uint8_t)(p->extreme == 0  ? next(state)
                                           : p->extreme > 0 ? (is_signed ? 0x7f : 0xff)
                                                            : (is_signed ? 0x80 : 0));
    return g;
}

static guarded random_ints(int64_t n, uint32_t range, int before, uint32_t *state)
{
    guarded g = guarded_alloc((size_t)n * sizeof(int32_t), before);
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)g.data)[i] = (int32_t)(next(state) % range) - (int32_t)(range / 2);
    return g;
}

static int64_t byte_at(const guarded *g, bool is_signed, int64_t i)
{
    return is_signed ? ((const int8_t *)g->data)[i] : ((const uint8_t *)g->data)[i];
}

static int32_t int_at(const guarded *g, int64_t i)
{
    return ((const int32_t *)g->data)[i];
}

/* The sum that comes out: of what is packed, hence without 128 on either side. */
static int32_t expected_sum(const problem *p, const buffers *b, int64_t i, int64_t j)
{
    int64_t sum = int_at(&b->start, i);
    const int64_t columns = p->n + p->taps - 1;
    for (int64_t t = 0; t < p->taps; t++)
        for (int64_t k = 0; k < p->depth; k++)
            sum += (byte_at(&b->a, p->a_signed, (i * p->taps + t) * p->depth + k) - (p->a_signed ? 0 : 128)) *
                   (byte_at(&b->b, p->b_signed, k * columns + j + t) + (p->b_signed ? 128 : 0));
    for (int t = 0; t < 2; t++)
        sum += (int64_t)int_at(&b->rows[t], i) * int_at(&b->lanes[t], j);
    sum += int_at(&b->lanes[2], j);
    return (int32_t)(uint32_t)(uint64_t)sum;
}

static void check_results(const problem *p, const buffers *b, const tlk_bytes *product, int isa)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            const int32_t sum = expected_sum(p, b, i, j);
            const int64_t at = i * p->n + j;
            const int64_t scale = i * product->scale_row_step + j * product->scale_lane_step;
            double want = sum;
            double got = 0;
            if (product->form == TLK_BYTES_SUMS) {
                got = ((const int32_t *)product->c)[at];
            } else if (product->form == TLK_BYTES_FLOATS) {
                got = (double)((const float *)product->c)[at];
                float y = (float)sum * product->scale[scale] +
                          product->add[i * product->add_row_step + j * product->add_lane_step];
                if (product->steps.count > 0)
                    y = fmaxf(0, -y - ((const float *)b->add.data)[at]);
                want = (double)y;
            } else {
                got = ((const uint8_t *)product->c)[at];
                want = (double)(uint8_t)(int)fmin(
                    fmax((double)rintf((float)sum * product->scale[scale]) + product->zero, product->low),
                    product->high);
            }
            ck_assert_msg(got == want, "isa %d m%d n%d k%d t%d form %d: C[%d][%d] is %.9g, not %.9g", isa, (int)p->m,
                          (int)p->n, (int)p->depth, (int)p->taps, (int)product->form, (int)i, (int)j, got, want);
        }
}

/* B of one tap as panels; of several as rows of data, which each tap reads a lane further on. */
static guarded pack_b(const tlk_bytes_kernel *kernel, const problem *p, const buffers *b, int64_t piece,
                      int64_t *offsets, tlk_bytes *product)
{
    const int64_t quads = (p->depth + 3) / 4, columns = p->n + p->taps - 1;
    const int64_t panels = (p->n + kernel->panel - 1) / kernel->panel;
    guarded packed;
    if (p->taps == 1) {
        guarded sums = guarded_alloc((size_t)p->n * sizeof(int32_t), 0);
        packed = guarded_alloc((size_t)(panels * kernel->panel * quads) * sizeof(uint32_t), 0);
        for (int64_t i = 0; i < panels; i += piece)
            kernel->pack_panels(b->b.data, p->b_signed, p->n, p->depth, i, i + piece < panels ? i + piece : panels,
                                packed.data, sums.data);
        for (int64_t j = 0; j < p->n; j++) {
            int64_t sum = 0;
            for (int64_t k = 0; k < p->depth; k++)
                sum += byte_at(&b->b, p->b_signed, k * p->n + j) + (p->b_signed ? 128 : 0);
            ck_assert_int_eq(int_at(&sums, j), sum);
        }
        guarded_free(&sums);
        product->b_step = kernel->panel;
        product->b_lane_step = quads;
    } else {
        packed = guarded_alloc((size_t)(columns * quads + kernel->panel) * sizeof(uint32_t), 0);
        for (int64_t q = 0; q < quads; q++) {
            const uint8_t *rows[4] = {NULL};
            const int count = (int)(p->depth - 4 * q < 4 ? p->depth - 4 * q : 4);
            for (int k = 0; k < count; k++)
                rows[k] = (const uint8_t *)b->b.data + (4 * q + k) * columns;
            kernel->quads(rows, count, p->b_signed, 1, columns, (uint32_t *)packed.data + q * columns);
        }
        product->b_step = columns;
        product->b_lane_step = 1;
    }
    for (int64_t t = 0; t < p->taps; t++)
        offsets[t] = t;
    product->b = packed.data;
    product->offsets = offsets;
    return packed;
}

static void run(const tlk_bytes_kernel *kernel, const problem *p, const buffers *b, tlk_bytes product, int64_t piece)
{
    const tlk_bytes_left left = {.data = b->a.data,
                                 .is_signed = p->a_signed,
                                 .rows = p->m,
                                 .taps = p->taps,
                                 .depth = p->depth,
                                 .row_step = p->taps * p->depth,
                                 .tap_step = p->depth,
                                 .step = 1};
    const int64_t blocks = (p->m + kernel->block - 1) / kernel->block;
    const int64_t panels = (p->n + kernel->panel - 1) / kernel->panel;
    int64_t offsets[8];
    guarded packed_a = guarded_alloc(kernel->packed_size(p->m, p->taps, p->depth), 0);
    guarded sums = guarded_alloc((size_t)p->m * sizeof(int32_t), 0);
    guarded packed_b = pack_b(kernel, p, b, piece, offsets, &product);
    for (int64_t i = 0; i < blocks; i += piece)
        kernel->pack(&left, i, i + piece < blocks ? i + piece : blocks, packed_a.data, sums.data);
    for (int64_t i = 0; i < p->m; i++) {
        int64_t sum = 0;
        for (int64_t k = 0; k < p->taps * p->depth; k++)
            sum += byte_at(&b->a, p->a_signed, i * p->taps * p->depth + k) - (p->a_signed ? 0 : 128);
        ck_assert_int_eq(int_at(&sums, i), sum);
    }
    memset(product.c, 0xff, b->c.size);
    for (int64_t i = 0; i < blocks; i += piece)
        for (int64_t j = 0; j < panels; j += piece)
            kernel->run(&product, packed_a.data, i, i + piece < blocks ? i + piece : blocks, j * kernel->panel,
                        j + piece < panels ? (j + piece) * kernel->panel : p->n);
    guarded_free(&packed_a);
    guarded_free(&packed_b);
    guarded_free(&sums);
}

static void check_form(const problem *p, const buffers *b, tlk_bytes product)
{
    guarded first = guarded_alloc(b->c.size, 0);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        if (tlk_get_isa((tlk_isa)isa) == NULL)
            continue;
        const tlk_bytes_kernel *kernel = tlk_get_bytes(tlk_get_isa((tlk_isa)isa));
        run(kernel, p, b, product, 1000);
        check_results(p, b, &product, isa);
        memcpy(first.data, b->c.data, b->c.size);
        run(kernel, p, b, product, 1);
        ck_assert_msg(memcmp(first.data, b->c.data, b->c.size) == 0, "isa %d: other bits in pieces", isa);
    }
    guarded_free(&first);
}

static void check_problem(const problem *p, uint32_t seed)
{
    tlk_step steps[] = {{.kind = TLK_STEP_UNARY, .function = TLK_NEG},
                        {.kind = TLK_STEP_SUB, .row_step = p->n, .lane_step = 1},
                        {.kind = TLK_STEP_ACTIVATE, .activation = {.kind = TLK_RELU}}};
    uint32_t state = seed;
    const int before = seed % 2 == 1;
    buffers b = {.a = random_bytes(p, p->a_signed, p->m * p->taps * p->depth, before, &state),
                 .b = random_bytes(p, p->b_signed, p->depth * (p->n + p->taps - 1), before, &state),
                 .start = random_ints(p->m, 1U << 20, before, &state),
                 .rows = {random_ints(p->m, 300, before, &state), random_ints(p->m, 1U << 24, before, &state)},
                 .lanes = {random_ints(p->n, 1U << 24, before, &state), random_ints(p->n, 300, before, &state),
                           random_ints(p->n, 1U << 20, before, &state)},
                 .scale = guarded_alloc((size_t)(p->m > p->n ? p->m : p->n) * sizeof(float), before),
                 .add = guarded_alloc((size_t)(p->m * p->n) * sizeof(float), before)};
    for (size_t i = 0; i < b.scale.size / sizeof(float); i++)
        ((float *)b.scale.data)[i] = i % 7 == 3 ? 0x1p-20F : ldexpf((float)(next(&state) % 1000), -35);
    for (int64_t i = 0; i < p->m * p->n; i++)
        ((float *)b.add.data)[i] = (float)(next(&state) % 1000) * 0.1F;
    steps[1].operand = b.add.data;
    for (int form = TLK_BYTES_SUMS; form <= TLK_BYTES_BYTES; form++) {
        const bool is_signed = state % 2 != 0, by_row = seed % 3 == 0;
        b.c = guarded_alloc((size_t)(p->m * p->n) * (form == TLK_BYTES_BYTES ? 1 : 4), before);
        tlk_bytes product = {.rows = p->m,
                             .lanes = p->n,
                             .depth = (p->depth + 3) / 4,
                             .taps = p->taps,
                             .start = b.start.data,
                             .terms = {{b.rows[0].data, b.lanes[0].data}, {b.rows[1].data, b.lanes[1].data}},
                             .form = (tlk_bytes_form)form,
                             .c = b.c.data,
                             .c_row_step = p->n,
                             .pitch = p->n,
                             .width = p->n,
                             .scale = b.scale.data,
                             .scale_row_step = by_row,
                             .scale_lane_step = !by_row,
                             .add = b.add.data,
                             .add_row_step = p->n,
                             .add_lane_step = seed / 3 % 2,
                             .steps = {steps, seed / 5 % 2 != 0 ? 3 : 0},
                             .zero = is_signed ? -3 : 77,
                             .low = is_signed ? -128 : 0,
                             .high = is_signed ? 127 : 255};
        product.terms[2].lane = b.lanes[2].data;
        check_form(p, &b, product);
        guarded_free(&b.c);
    }
    guarded *all = &b.a;
    for (size_t i = 0; i + 1 < sizeof b / sizeof *all; i++)
        guarded_free(&all[i]);
}

/* Quads of rows whose ends nothing may be read behind. */
START_TEST(quads)
{
    uint32_t state = 9;
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (int64_t n = 1; kernels != NULL && n < 70; n++)
            for (int step = 1; step < 4; step++) {
                const int count = 1 + (int)(next(&state) % 4);
                const bool is_signed = next(&state) % 2 != 0;
                guarded from[4], to = guarded_alloc((size_t)n * sizeof(uint32_t), 0);
                const uint8_t *rows[4] = {NULL};
                for (int k = 0; k < count; k++) {
                    from[k] = guarded_alloc((size_t)((n - 1) * step + 1), 0);
                    rows[k] = from[k].data;
                    for (size_t i = 0; i < from[k].size; i++)
                        ((uint8_t *)from[k].data)[i] = (uint8_t)next(&state);
                }
                tlk_get_bytes(kernels)->quads(rows, count, is_signed, step, n, to.data);
                for (int64_t i = 0; i < n; i++)
                    for (int k = 0; k < 4; k++) {
                        const int want = k < count ? rows[k][i * step] ^ (is_signed ? 0x80 : 0) : 0;
                        ck_assert_int_eq(((const uint8_t *)to.data)[4 * i + k], want);
                    }
                for (int k = 0; k < count; k++)
                    guarded_free(&from[k]);
                guarded_free(&to);
            }
    }
}
END_TEST

/* Element i of c is what the product makes of its sum. */
static void expect_narrow(const tlk_bytes *product, const guarded *c, int64_t i, int64_t sum)
{
    const float y = (float)sum * *product->scale + (product->add != NULL ? *product->add : 0);
    if (product->form == TLK_BYTES_SUMS)
        ck_assert_int_eq(int_at(c, i), sum);
    else if (product->form == TLK_BYTES_FLOATS)
        ck_assert_float_eq(((const float *)c->data)[i], product->steps.count > 0 ? -y : y);
    else
        ck_assert_int_eq(byte_at(c, false, i),
                         (int64_t)fmin(fmax(rint((double)sum * (double)*product->scale) + product->zero, product->low),
                                       product->high));
}

/* One row of bytes: taps in quads of any form, lines whose ends are left out, a term or none. Floats have a function
 * behind them, which shows where it is computed twice, and a summand or none. */
static void check_narrow(const tlk_bytes_kernel *kernel, tlk_bytes_form form, bool term, int64_t width, uint32_t *state)
{
    const tlk_step steps[] = {{.kind = TLK_STEP_UNARY, .function = TLK_NEG}};
    enum { MOST_TAPS = 11 };
    const int apart = (int)(next(state) % 2 != 0 ? 1 : next(state) % 13),
              count = apart > 4 ? 1 + 12 / apart : 1 + (int)(next(state) % 4);
    const int64_t taps = 1 + next(state) % MOST_TAPS, lines = 1 + next(state) % 3, pitch = width + next(state) % 5,
                  lanes = (lines - 1) * pitch + width, size = form == TLK_BYTES_BYTES ? 1 : 4;
    const problem any = {.extreme = 0};
    int64_t offsets[MOST_TAPS], last = 0;
    const int64_t follow = count == 4 && apart == 1 && next(state) % 2 != 0 ? taps : 1;
    for (int64_t t = 0; t < taps; t++) {
        offsets[t] = follow > 1 && t > 0 ? offsets[t - 1] + 4 : next(state) % 70;
        last = offsets[t] > last ? offsets[t] : last;
    }
    guarded a = random_bytes(&any, true, taps * count, 0, state),
            b = random_bytes(&any, false, lanes + last + kernel->panel * TLK_QUAD, 0, state),
            packed = guarded_alloc(kernel->packed_size(1, taps, TLK_QUAD), 0), ones = guarded_alloc(packed.size, 0),
            c = guarded_alloc((size_t)(lines * width * size), 0);
    const tlk_bytes_left left = {
        .data = a.data, .is_signed = true, .rows = 1, .taps = taps, .depth = count, .tap_step = count, .step = 1};
    kernel->pack(&left, 0, 1, packed.data, NULL);
    static const int8_t one = 1;
    const tlk_bytes_left left_ones = {.data = &one, .is_signed = true, .rows = 1, .taps = taps, .depth = count};
    kernel->pack(&left_ones, 0, 1, ones.data, NULL);
    const int32_t start = -1234, factor = 5;
    const float scale = 0x1.7p-8F, add = 0.1F;
    tlk_bytes product = {.rows = 1,
                         .lanes = lanes,
                         .depth = 1,
                         .taps = taps,
                         .b = b.data,
                         .narrow = true,
                         .quad = (uint32_t)((count > 1 ? apart << 8 : 0) | (count > 2 ? apart << 17 : 0)) |
                                 (count > 3 ? (uint32_t)(3 * apart) << 24 : 0),
                         .follow = follow,
                         .offsets = offsets,
                         .b_lane_step = 1,
                         .start = &start,
                         .form = form,
                         .c = c.data,
                         .pitch = pitch,
                         .width = width,
                         .scale = &scale,
                         .add = next(state) % 2 != 0 ? &add : NULL,
                         .steps = {steps, next(state) % 3 != 0},
                         .zero = 100,
                         .low = 10,
                         .high = 250};
    if (term) {
        product.terms[0].row = &factor;
        product.ones = ones.data;
    }
    const int64_t half = lanes / 2 / kernel->panel * kernel->panel;
    kernel->run(&product, packed.data, 0, 1, 0, half);
    kernel->run(&product, packed.data, 0, 1, half, lanes);
    for (int64_t i = 0; i < lines * width; i++) {
        const int64_t lane = i / width * pitch + i % width;
        int64_t sum = start;
        for (int64_t t = 0; t < taps; t++)
            for (int k = 0; k < count; k++)
                sum += (byte_at(&a, true, t * count + k) + (term ? factor : 0)) *
                       byte_at(&b, false, lane + offsets[t] + k * apart);
        expect_narrow(&product, &c, i, sum);
    }
    guarded *all[] = {&a, &b, &packed, &ones, &c};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        guarded_free(all[i]);
}

START_TEST(narrow)
{
    uint32_t state = 17;
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        for (int64_t width = 1; kernels != NULL && width < 150; width++)
            for (int kind = 0; kind < 6; kind++)
                check_narrow(tlk_get_bytes(kernels), (tlk_bytes_form)(kind % 3), kind / 3 != 0, width, &state);
    }
}
END_TEST

START_TEST(products)
{
    static const int64_t rows[] = {1, 2, 3, 5, 8, 11, 12, 13, 27}, lanes[] = {1, 7, 16, 31, 32, 33, 70},
                         depths[] = {1, 3, 4, 5, 17, 64, 131};
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof lanes / sizeof *lanes; j++)
            for (size_t k = 0; k < sizeof depths / sizeof *depths; k++, seed++) {
                const problem p = {rows[i], lanes[j], depths[k], 1 + seed % 3, seed % 2 != 0, seed / 2 % 2 != 0, 0};
                check_problem(&p, seed);
            }
}
END_TEST

/* Around tiles of 16 rows, 16 lanes and 64 bytes, and around what is done together. */
START_TEST(tiles)
{
    static const int64_t rows[] = {4, 15, 16, 17, 32, 33, 49}, lanes[] = {15, 16, 17, 33}, depths[] = {7, 63, 64, 65};
    static const problem large[] = {{257, 17, 70, 1, .a_signed = true}, {300, 33, 521, 2, .b_signed = true}};
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof lanes / sizeof *lanes; j++)
            for (size_t k = 0; k < sizeof depths / sizeof *depths; k++, seed++) {
                const problem p = {rows[i], lanes[j], depths[k], 1 + seed % 4, seed % 2 != 0, seed / 2 % 2 != 0, 0};
                check_problem(&p, seed);
            }
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        check_problem(&large[i], seed++);
}
END_TEST

/* A saturating instruction, or a sum of 16 bits, would show. */
START_TEST(extremes)
{
    for (int signs = 0; signs < 4; signs++)
        for (int extreme = -1; extreme <= 1; extreme += 2) {
            const problem p = {13, 33, 301, 1, signs % 2 != 0, signs / 2 != 0, extreme};
            check_problem(&p, (uint32_t)signs);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bytes");
    TCase *tests = tcase_create("products");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, quads);
    tcase_add_test(tests, narrow);
    tcase_add_test(tests, products);
    tcase_add_test(tests, tiles);
    tcase_add_test(tests, extremes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
