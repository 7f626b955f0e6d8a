/* Of the random shapes that a test tries, one in so many: those who look at each access take their time. */
#ifndef TEST_SHARE
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define TEST_SHARE 3
#else
#define TEST_SHARE 1
#endif
#endif
