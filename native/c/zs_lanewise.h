/*
 * zs_lanewise.h - functions of each lane of a vector, as zs_pointwise.h and C have them of one value.
 */
#ifndef ZS_LANEWISE_H
#define ZS_LANEWISE_H

/*
 * ZS_DEFINE_LANEWISE() - for the kernel's zs_vec of TYPE:
 *
 * zs_relu_lanes()  - 0 in lanes below 0; a NaN stays one, and a zero its sign.
 * zs_abs_lanes()   - negative lanes with the other sign; likewise.
 * zs_truth_lanes() - 1 in lanes that are not 0, a NaN among them, and 0 elsewhere.
 */
#define ZS_DEFINE_LANEWISE(TYPE)                                                            \
    ZS_INLINE zs_vec zs_relu_lanes(zs_vec x)                                                \
    {                                                                                       \
        typedef __typeof__(x != x) lanes;                                                   \
        const lanes below = x < (zs_vec){0};                                                \
        return (zs_vec)((lanes)x & ~below);                                                 \
    }                                                                                       \
    ZS_INLINE zs_vec zs_abs_lanes(zs_vec x)                                                 \
    {                                                                                       \
        typedef __typeof__(x != x) lanes;                                                   \
        const lanes below = x < (zs_vec){0};                                                \
        return (zs_vec)(((lanes)x & ~below) | ((lanes)-x & below));                         \
    }                                                                                       \
    ZS_INLINE zs_vec zs_truth_lanes(zs_vec x)                                               \
    {                                                                                       \
        typedef __typeof__(x != x) lanes;                                                   \
        const lanes there = x != (zs_vec){0};                                               \
        return (zs_vec)(there & (lanes)((zs_vec){0} + (TYPE)1));                            \
    }

#endif /* ZS_LANEWISE_H */
