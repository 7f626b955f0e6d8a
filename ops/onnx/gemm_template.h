/* gemm.c's function for one type: REAL is the element, GEMM the function's name. */

#define GEMM_JOIN_(a, b) a##b
#define GEMM_JOIN(a, b)  GEMM_JOIN_(a, b)
#define GEMM_TILE        GEMM_JOIN(GEMM, _tile)
#define GEMM_EDGE        GEMM_JOIN(GEMM, _edge)

/* GEMM_ROWS rows of GEMM_COLUMNS columns: constant trip counts, so that the sums stay in registers. */
static void GEMM_TILE(const gemm_shape *s, const REAL *a, const REAL *b, REAL *c)
{
    REAL sums[GEMM_ROWS][GEMM_COLUMNS];
    for (int i = 0; i < GEMM_ROWS; i++)
        for (int j = 0; j < GEMM_COLUMNS; j++)
            sums[i][j] = s->add ? c[i * s->c_row + j] : 0;
    for (int64_t l = 0; l < s->k; l++)
        for (int i = 0; i < GEMM_ROWS; i++)
            for (int j = 0; j < GEMM_COLUMNS; j++)
                sums[i][j] += a[i * s->a_row + l * s->a_step] * b[l * s->b_row + j];
    for (int i = 0; i < GEMM_ROWS; i++)
        for (int j = 0; j < GEMM_COLUMNS; j++)
            c[i * s->c_row + j] = sums[i][j];
}

static void GEMM_EDGE(const gemm_shape *s, int64_t rows, int64_t columns, const REAL *a, const REAL *b, REAL *c)
{
    for (int64_t i = 0; i < rows; i++) {
        REAL *row = c + i * s->c_row;
        for (int64_t j = 0; !s->add && j < columns; j++)
            row[j] = 0;
        for (int64_t l = 0; l < s->k; l++) {
            REAL factor = a[i * s->a_row + l * s->a_step];
            for (int64_t j = 0; j < columns; j++)
                row[j] += factor * b[l * s->b_row + j];
        }
    }
}

void GEMM(const gemm_shape *s, const REAL *a, const REAL *b, REAL *c)
{
    const int64_t whole = s->m / GEMM_ROWS * GEMM_ROWS;
    for (int64_t j = 0; j < s->n; j += GEMM_COLUMNS) {
        int64_t columns = s->n - j < GEMM_COLUMNS ? s->n - j : GEMM_COLUMNS;
        if (columns < GEMM_COLUMNS)
            GEMM_EDGE(s, whole, columns, a, b + j, c + j);
        else
            for (int64_t i = 0; i < whole; i += GEMM_ROWS)
                GEMM_TILE(s, a + i * s->a_row, b + j, c + i * s->c_row + j);
    }
    GEMM_EDGE(s, s->m - whole, s->n, a + whole * s->a_row, b, c + whole * s->c_row);
}

#undef GEMM_EDGE
#undef GEMM_TILE
#undef GEMM_JOIN
#undef GEMM_JOIN_
#undef GEMM
#undef REAL
