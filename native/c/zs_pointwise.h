/*
 * zs_pointwise.h - functions of one value, and the extremes of two, for each arithmetic.
 *
 * A NaN stays a NaN, as in NumPy: every test is written so that it fails on one.
 */
#ifndef ZS_POINTWISE_H
#define ZS_POINTWISE_H

#include "zs_kernel.h"

#define ZS_DEFINE_ARITHMETIC(NAME, TYPE)                                                    \
    ZS_INLINE TYPE zs_max_##NAME(TYPE a, TYPE b) { return a != a || a > b ? a : b; }        \
    ZS_INLINE TYPE zs_min_##NAME(TYPE a, TYPE b) { return a != a || a < b ? a : b; }        \
    ZS_INLINE TYPE zs_relu_##NAME(TYPE x) { return x < 0 ? 0 : x; }                         \
    ZS_INLINE TYPE zs_abs_##NAME(TYPE x) { return x < 0 ? -x : x; }                         \
    ZS_INLINE TYPE zs_sign_##NAME(TYPE x) { return x != x ? x : (TYPE)((x > 0) - (x < 0)); }

ZS_DEFINE_ARITHMETIC(float64, double)
ZS_DEFINE_ARITHMETIC(float32, float)
ZS_DEFINE_ARITHMETIC(int32, int32_t)
ZS_DEFINE_ARITHMETIC(int64, int64_t)
#undef ZS_DEFINE_ARITHMETIC

/* zs_sigmoid_TYPE() - 1 / (1 + exp(-x)). */
ZS_INLINE double zs_sigmoid_float64(double x) { return 1.0 / (1.0 + __builtin_exp(-x)); }
ZS_INLINE float zs_sigmoid_float32(float x) { return 1.0f / (1.0f + __builtin_expf(-x)); }

#endif /* ZS_POINTWISE_H */
