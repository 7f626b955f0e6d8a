/* The matrix product against a naive one in double: both types and all instruction sets, transposed operands, added
 * matrices, guarded buffers, and the same bits for any cut, with the operands swapped and with
 * B read in place; few rows along the depth; tiles. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/run.h"
#include "element.h"
#include "guard.h"
#include "kernels/kernels.h"

typedef struct problem {
    tlk_type type;
    int64_t m, n, depth;
    bool transpose_a, transpose_b, transpose_c;
    int add; /* 0 none, 1 a row, 2 a column, 3 a matrix */
    double alpha, beta;
    tlk_activation activation;
} problem;

typedef struct buffers {
    guarded a, b, c, add;
} buffers;

static tlk_gemm describe(const problem *p, const buffers *b)
{
    tlk_gemm gemm = {.m = p->m,
                     .n = p->n,
                     .depth = p->depth,
                     .c = b->c.data,
                     .c_row_step = p->transpose_c ? 1 : p->n,
                     .c_column_step = p->transpose_c ? p->m : 1,
                     .alpha = p->alpha,
                     .beta = p->beta,
                     .activation = p->activation};
    if (p->add != 0)
        gemm.add = b->add.data;
    gemm.add_row_step = p->add == 3 ? p->n : p->add == 2;
    gemm.add_column_step = p->add == 3 || p->add == 1;
    return gemm;
}

/* What c must be, where it lies; free() it. */
static wanted *reference(const problem *p, const buffers *b)
{
    const tlk_gemm gemm = describe(p, b);
    const double epsilon = p->type == TLK_F64 ? 0x1p-52 : 0x1p-23;
    wanted *want = new_wanted(p->m * p->n);
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            double sum = 0;
            double scale = 1;
            for (int64_t k = 0; k < p->depth; k++) {
                const double product =
                    element_get(p->type, b->a.data, p->transpose_a ? k * p->m + i : i * p->depth + k) *
                    element_get(p->type, b->b.data, p->transpose_b ? j * p->depth + k : k * p->n + j);
                sum += product;
                scale += fabs(product);
            }
            double expected = p->alpha * sum;
            if (p->add != 0)
                expected +=
                    p->beta * element_get(p->type, b->add.data, i * gemm.add_row_step + j * gemm.add_column_step);
            if (p->activation.kind == TLK_RELU)
                expected = fmax(expected, 0);
            want[i * gemm.c_row_step + j * gemm.c_column_step] =
                (wanted){expected, scale * epsilon * (double)(p->depth + 8) + element_ulp(p->type, expected) +
                                       4 * epsilon * fabs(expected)};
        }
    return want;
}

static void check_results(const problem *p, const buffers *b, const wanted *want, int isa)
{
    const int64_t i = first_wrong(p->type, b->c.data, want, p->m * p->n);
    if (i >= 0)
        ck_abort_msg("isa %d %s m%d n%d k%d: element %d of C is %.9g, not %.9g", isa, element_name(p->type), (int)p->m,
                     (int)p->n, (int)p->depth, (int)i, element_get(p->type, b->c.data, i), want[i].value);
}

/* With B read where it is; what does not fill a panel is packed. */
static void run_in_place(const tlk_gemm_kernel *kernel, const problem *p, const buffers *b, int64_t piece)
{
    tlk_gemm gemm = describe(p, b);
    const int64_t blocks = kernel->blocks(gemm.m), panels = kernel->panels(gemm.n);
    const int64_t rest = gemm.n % kernel->panel_columns, whole = gemm.n - rest;
    guarded packed_a = guarded_alloc(kernel->packed_a_size(gemm.m, gemm.depth), 0);
    guarded packed_b = guarded_alloc(rest > 0 ? kernel->packed_b_size(rest, gemm.depth) : 0, 0);
    kernel->pack_a(b->a.data, p->transpose_a ? 1 : p->depth, p->transpose_a ? p->m : 1, gemm.m, gemm.depth, 0, blocks,
                   packed_a.data);
    if (rest > 0)
        kernel->pack_b((const char *)b->b.data + (size_t)whole * element_size(p->type), p->n, 1, rest, gemm.depth, 0, 1,
                       packed_b.data);
    gemm.b_in_place = b->b.data;
    gemm.b_row_step = p->n;
    memset(b->c.data, 0xff, b->c.size);
    for (int64_t j = 0; j < panels; j += piece)
        kernel->run(&gemm, packed_a.data, packed_b.data, 0, blocks, j, j + piece < panels ? j + piece : panels);
    guarded_free(&packed_a);
    guarded_free(&packed_b);
}

static void run_few(const tlk_gemm_kernel *kernel, const problem *p, const buffers *b, int64_t piece)
{
    const tlk_gemm gemm = describe(p, b);
    memset(b->c.data, 0xff, b->c.size);
    for (int64_t j = 0; j < gemm.n; j += piece)
        kernel->run_few(&gemm, b->a.data, p->depth, b->b.data, p->depth, j, j + piece < gemm.n ? j + piece : gemm.n);
}

static void run(const tlk_kernels *kernels, const problem *p, const buffers *b, int64_t piece, bool swap)
{
    const tlk_gemm_kernel *kernel = kernels->gemm[p->type];
    tlk_gemm gemm = describe(p, b);
    const void *a = b->a.data;
    const void *other = b->b.data;
    int64_t a_steps[2] = {p->transpose_a ? 1 : p->depth, p->transpose_a ? p->m : 1};
    int64_t b_steps[2] = {p->transpose_b ? 1 : p->n, p->transpose_b ? p->depth : 1};
    if (swap) {
        const tlk_gemm was = gemm;
        gemm.m = was.n;
        gemm.n = was.m;
        gemm.c_row_step = was.c_column_step;
        gemm.c_column_step = was.c_row_step;
        gemm.add_row_step = was.add_column_step;
        gemm.add_column_step = was.add_row_step;
        a = b->b.data;
        other = b->a.data;
        const int64_t steps[2] = {a_steps[0], a_steps[1]};
        a_steps[0] = b_steps[1];
        a_steps[1] = b_steps[0];
        b_steps[0] = steps[1];
        b_steps[1] = steps[0];
    }
    guarded packed_a = guarded_alloc(kernel->packed_a_size(gemm.m, gemm.depth), 0);
    guarded packed_b = guarded_alloc(kernel->packed_b_size(gemm.n, gemm.depth), 0);
    const int64_t blocks = kernel->blocks(gemm.m);
    const int64_t panels = kernel->panels(gemm.n);
    memset(b->c.data, 0xff, b->c.size);
    for (int64_t i = 0; i < blocks; i += piece)
        kernel->pack_a(a, a_steps[0], a_steps[1], gemm.m, gemm.depth, i, i + piece < blocks ? i + piece : blocks,
                       packed_a.data);
    for (int64_t i = 0; i < panels; i += piece)
        kernel->pack_b(other, b_steps[0], b_steps[1], gemm.n, gemm.depth, i, i + piece < panels ? i + piece : panels,
                       packed_b.data);
    for (int64_t i = 0; i < blocks; i += piece)
        for (int64_t j = 0; j < panels; j += piece)
            kernel->run(&gemm, packed_a.data, packed_b.data, i, i + piece < blocks ? i + piece : blocks, j,
                        j + piece < panels ? j + piece : panels);
    guarded_free(&packed_a);
    guarded_free(&packed_b);
}

/* On tiles, in pieces of so many squares; B where it is or packed. */
static void run_tiles(const tlk_kernels *kernels, const problem *p, const buffers *b, int64_t piece, bool pack)
{
    const tlk_gemm_tiles *tiles = kernels->gemm_tiles;
    const tlk_gemm_kernel *kernel = kernels->gemm[TLK_F32];
    const tlk_gemm gemm = describe(p, b);
    const int64_t rows = (gemm.m + TLK_GEMM_SIDE - 1) / TLK_GEMM_SIDE;
    const int64_t columns = (gemm.n + TLK_GEMM_SIDE - 1) / TLK_GEMM_SIDE;
    tlk_gemm_lines left = {b->a.data, p->transpose_a ? 1 : p->depth, p->transpose_a ? p->m : 1, 0};
    tlk_gemm_lines right = {b->b.data, p->transpose_b ? p->depth : 1, p->transpose_b ? 1 : p->n, 0};
    left.square_step = TLK_GEMM_SIDE * left.line_step;
    right.square_step = TLK_GEMM_SIDE * right.line_step;
    guarded packed = guarded_alloc(pack ? kernel->packed_b_size(gemm.n, gemm.depth) : 0, 0);
    guarded workspace = guarded_alloc(tiles->workspace_size(gemm.m, gemm.n, gemm.depth), 0);
    if (pack) {
        kernel->pack_b(b->b.data, right.depth_step, right.line_step, gemm.n, gemm.depth, 0, columns, packed.data);
        right = (tlk_gemm_lines){packed.data, 1, TLK_GEMM_SIDE, TLK_GEMM_SIDE * gemm.depth};
    }
    memset(b->c.data, 0xff, b->c.size);
    for (int64_t i = 0; i < rows; i += piece)
        for (int64_t j = 0; j < columns; j += piece)
            tiles->run(&gemm, &left, &right, i, i + piece < rows ? i + piece : rows, j,
                       j + piece < columns ? j + piece : columns, workspace.data);
    guarded_free(&packed);
    guarded_free(&workspace);
}

static void check_tiles(const tlk_kernels *kernels, const problem *p, const buffers *b, const wanted *want, void *first)
{
    run_tiles(kernels, p, b, 1000, false);
    check_results(p, b, want, kernels->isa);
    memcpy(first, b->c.data, b->c.size);
    for (int64_t piece = 1; piece < 4; piece += 2)
        for (int pack = 0; pack < 2; pack++) {
            run_tiles(kernels, p, b, piece, pack == 1);
            ck_assert_msg(memcmp(first, b->c.data, b->c.size) == 0, "other bits on tiles in pieces");
        }
}

static void check_problem(const problem *p, uint32_t seed)
{
    uint32_t state = seed;
    const int before = seed % 2 == 1;
    buffers b = {.a = filled(p->type, p->m * p->depth, before, &state),
                 .b = filled(p->type, p->n * p->depth, before, &state),
                 .add = filled(p->type,
                               p->add == 1   ? p->n
                               : p->add == 2 ? p->m
                                             : p->m * p->n,
                               before, &state),
                 .c = guarded_alloc((size_t)(p->m * p->n) * element_size(p->type), before)};
    guarded first = guarded_alloc(b.c.size, 0);
    wanted *want = reference(p, &b);
    for (int isa = 0; isa < TLK_ISA_COUNT; isa++) {
        const tlk_kernels *kernels = tlk_get_isa((tlk_isa)isa);
        if (kernels == NULL)
            continue;
        run(kernels, p, &b, 1000, false);
        check_results(p, &b, want, isa);
        memcpy(first.data, b.c.data, b.c.size);
        run(kernels, p, &b, 1, false);
        ck_assert_msg(memcmp(first.data, b.c.data, b.c.size) == 0, "isa %d: other bits in pieces", isa);
        run(kernels, p, &b, 2, true);
        ck_assert_msg(memcmp(first.data, b.c.data, b.c.size) == 0, "isa %d: other bits with operands swapped", isa);
        for (int64_t piece = 1; piece < 10 && p->type <= TLK_F64 && !p->transpose_b; piece += 4) {
            run_in_place(kernels->gemm[p->type], p, &b, piece);
            ck_assert_msg(memcmp(first.data, b.c.data, b.c.size) == 0, "isa %d: other bits in place", isa);
        }
        if (p->type == TLK_F32 && kernels->gemm_tiles != NULL)
            check_tiles(kernels, p, &b, want, first.data);
        if (p->m > TLK_FEW || p->transpose_a || !p->transpose_b)
            continue;
        run_few(kernels->gemm[p->type], p, &b, 1000);
        check_results(p, &b, want, isa);
        memcpy(first.data, b.c.data, b.c.size);
        run_few(kernels->gemm[p->type], p, &b, 7);
        ck_assert_msg(memcmp(first.data, b.c.data, b.c.size) == 0, "isa %d: other bits of few rows in pieces", isa);
    }
    free(want);
    guarded_free(&first);
    guarded_free(&b.a);
    guarded_free(&b.b);
    guarded_free(&b.c);
    guarded_free(&b.add);
}

START_TEST(test_random_shapes)
{
    static const int64_t sizes[] = {1, 2, 3, 5, 6, 7, 8, 13, 14, 15, 16, 17, 29, 31, 32, 33, 64, 70, 100};
    uint32_t state = 3U + (uint32_t)_i;
#define PICK(list) (list)[random_below(&state, (int64_t)(sizeof(list) / sizeof((list)[0])))]
    for (int i = 0; i < 200 / TEST_SHARE; i++) {
        problem p = {.type = (tlk_type)_i,
                     .m = PICK(sizes),
                     .n = PICK(sizes),
                     .depth = PICK(sizes),
                     .transpose_a = random_below(&state, 2) == 1,
                     .transpose_b = random_below(&state, 2) == 1,
                     .transpose_c = random_below(&state, 4) == 1,
                     .add = (int)random_below(&state, 4),
                     .alpha = random_below(&state, 2) == 1 ? 1 : -0.5,
                     .beta = random_below(&state, 2) == 1 ? 1 : 2,
                     .activation = {.kind = random_below(&state, 2) == 1 ? TLK_RELU : TLK_LINEAR}};
        check_problem(&p, (uint32_t)i);
    }
}
END_TEST

START_TEST(test_one_row)
{
    for (int64_t n = 120; n < 300; n += 37)
        check_problem(&(problem){.type = (tlk_type)_i, .m = 1, .n = n, .depth = 9, .alpha = 1}, (uint32_t)n);
}
END_TEST

/* So deep that not all panels fit into the cache together. */
START_TEST(test_depth)
{
    for (int64_t n = 250; n < 300; n += 37)
        check_problem(&(problem){.type = (tlk_type)_i, .m = 17, .n = n, .depth = 530, .alpha = 1}, (uint32_t)n);
}
END_TEST

/* Where pieces of lines don't reach over all of them, nor pieces of the depth. */
START_TEST(test_many_tiles)
{
    static const int64_t sizes[][3] = {{600, 70, 40}, {70, 610, 40}, {530, 560, 33}, {300, 50, 700}, {33, 320, 1060}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int add = 0; add < 4; add += 3)
            check_problem(&(problem){.type = TLK_F32,
                                     .m = sizes[i][0],
                                     .n = sizes[i][1],
                                     .depth = sizes[i][2],
                                     .transpose_b = i % 2 == 1,
                                     .add = i % 2 == 0 && add == 0 ? 1 : add,
                                     .alpha = 1,
                                     .beta = 1},
                          (uint32_t)i);
}
END_TEST

/* One strange element reaches its row or column, as multiply-adds have it, and changes no bit elsewhere. */
START_TEST(test_special_numbers_on_tiles)
{
    static const float strange[] = {INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MAX, FLT_MIN, 1e-40F, 0x1.fffffep100F};
    const tlk_kernels *kernels = tlk_get_isa(TLK_AMX);
    const problem p = {.type = TLK_F32, .m = 70, .n = 50, .depth = 600, .alpha = 1};
    uint32_t state = 5;
    for (size_t i = 0; kernels != NULL && i < 4 * sizeof strange / sizeof strange[0]; i++) {
        buffers b = {.a = filled(p.type, p.m * p.depth, 0, &state),
                     .b = filled(p.type, p.n * p.depth, 0, &state),
                     .c = guarded_alloc((size_t)(p.m * p.n) * sizeof(float), 0)};
        const bool in_a = i % 2 == 0;
        const int64_t k = i % 4 < 2 ? 17 : 590, line = in_a ? 37 : 41;
        float *first = malloc(b.c.size), *c = b.c.data;
        ck_assert_ptr_nonnull(first);
        run_tiles(kernels, &p, &b, 1000, false);
        memcpy(first, c, b.c.size);
        *(in_a ? (float *)b.a.data + line * p.depth + k : (float *)b.b.data + k * p.n + line) = strange[i / 4];
        run_tiles(kernels, &p, &b, 1000, i % 3 == 0);
        for (int64_t row = 0; row < p.m; row++)
            for (int64_t column = 0; column < p.n; column++) {
                const float got = c[row * p.n + column];
                if ((in_a ? row : column) != line) {
                    ck_assert_mem_eq(&got, &first[row * p.n + column], sizeof got);
                    continue;
                }
                double sum = 0, scale = 1;
                for (int64_t j = 0; j < p.depth; j++) {
                    const double product = element_get(p.type, b.a.data, row * p.depth + j) *
                                           element_get(p.type, b.b.data, j * p.n + column);
                    sum += product;
                    scale += fabs(product);
                }
                const float expected = (float)sum;
                if (isnan(expected))
                    ck_assert_msg(isnan(got), "%g instead of NaN", (double)got);
                else if (isinf(expected))
                    ck_assert_msg(got == expected, "%g instead of %g", (double)got, (double)expected);
                else
                    ck_assert_msg(fabs((double)got - sum) <= scale * 0x1p-23 * 16, "%g instead of %g", (double)got,
                                  sum);
            }
        free(first);
        guarded_free(&b.a);
        guarded_free(&b.b);
        guarded_free(&b.c);
    }
}
END_TEST

START_TEST(test_sizes_that_do_not_exist)
{
    for (int type = TLK_F32; type <= TLK_F64; type++) {
        const tlk_gemm_kernel *kernel = tlk_get()->gemm[type];
        ck_assert_uint_eq(kernel->packed_a_size(INT64_C(1) << 32, INT64_C(1) << 31), SIZE_MAX);
        ck_assert_uint_eq(kernel->packed_b_size(INT64_C(1) << 32, INT64_C(1) << 31), SIZE_MAX);
        ck_assert_uint_eq(kernel->packed_b_size(INT64_MAX, 1), SIZE_MAX);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm");
    TCase *tests = tcase_create("gemm");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, test_random_shapes, TLK_F32, TLK_F64 + 1);
    tcase_add_loop_test(tests, test_one_row, TLK_F32, TLK_F64 + 1);
    tcase_add_loop_test(tests, test_depth, TLK_F32, TLK_F64 + 1);
    tcase_add_test(tests, test_many_tiles);
    tcase_add_test(tests, test_special_numbers_on_tiles);
    tcase_add_test(tests, test_sizes_that_do_not_exist);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
