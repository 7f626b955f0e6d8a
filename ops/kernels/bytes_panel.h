/* A panel of sums on their way out, for what computes them (bytes.c, bytes_tiles.c). */
#ifndef TLK_BYTES_PANEL_H
#define TLK_BYTES_PANEL_H

#include "kernels/bytes.h"
#include "kernels/vec.h"

#define VECTORS 2
#define PANEL   (VECTORS * TLK_W)

#define load_lanes  TLK_FN(tlk_bytes_load_lanes)
#define finish_rows TLK_FN(tlk_bytes_finish_rows)

/* What the lanes of a panel bring with them, as whole panels; and where they go: runs of neighbours. */
typedef struct panel_lanes {
    int64_t lane;
    int64_t line; /* of the next panel's first lane */
    int count;
    const int32_t *terms[TLK_BYTES_TERMS]; /* NULL: no such term */
    const float *scale;                    /* NULL: one for each row */
    int32_t padded_terms[TLK_BYTES_TERMS][PANEL];
    float padded_scale[PANEL];
    int runs;
    struct {
        int begin, end;
        int64_t to;
    } run[PANEL];
} panel_lanes;

/* The next panel of the lanes after `lane`; the first one's line is lane / pitch. */
void load_lanes(const tlk_bytes *p, int64_t lane, int count, panel_lanes *lanes);

/* Sums [rows][PANEL] to where they go. They are written over. */
void finish_rows(const tlk_bytes *p, int64_t row, int64_t rows, const panel_lanes *lanes, int32_t *sums);

#endif
