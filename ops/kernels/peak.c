/* What one core can do at most, for benchmarks to compare with. */
#include "kernels/isa.h"

double TLK_FN(tlk_multiply_adds)(int64_t rounds)
{
    enum { CHAINS = 12 }; /* more than two units times the latency of a multiply-add */
    vecf sums[CHAINS];
    vecf x = vf_set1(1.0001F);
    const vecf y = vf_set1(0.999F);
    TLK_UNROLL
    for (int i = 0; i < CHAINS; i++)
        sums[i] = vf_zero();
    for (int64_t n = 0; n < rounds; n++) {
        TLK_UNROLL
        for (int i = 0; i < CHAINS; i++) {
            sums[i] = vf_fma(x, y, sums[i]);
            TLK_IN_REGISTER(sums[i]);
        }
    }
    TLK_UNROLL
    for (int i = 0; i < CHAINS; i++) /* so that the sums are used */
        x += sums[i];
    __asm__ volatile("" : : "m"(x));
    return 2.0 * CHAINS * TLK_W * (double)rounds;
}
