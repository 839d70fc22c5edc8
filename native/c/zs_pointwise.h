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
ZS_DEFINE_ARITHMETIC(uint64, uint64_t)
#undef ZS_DEFINE_ARITHMETIC

/* zs_sigmoid_TYPE() - 1 / (1 + exp(-x)). */
ZS_INLINE double zs_sigmoid_float64(double x) { return 1.0 / (1.0 + __builtin_exp(-x)); }
ZS_INLINE float zs_sigmoid_float32(float x) { return 1.0f / (1.0f + __builtin_expf(-x)); }

/* zs_gelu_TYPE() - x times the normal distribution function at x. */
ZS_INLINE double zs_gelu_float64(double x)
{
    return x * (1.0 + __builtin_erf(x * 0.70710678118654752440)) / 2.0;
}
ZS_INLINE float zs_gelu_float32(float x)
{
    return x * (1.0f + __builtin_erff(x * 0.70710678118654752440f)) / 2.0f;
}

/* zs_swish_TYPE() - x * sigmoid(x). */
ZS_INLINE double zs_swish_float64(double x) { return x * zs_sigmoid_float64(x); }
ZS_INLINE float zs_swish_float32(float x) { return x * zs_sigmoid_float32(x); }

#endif /* ZS_POINTWISE_H */
