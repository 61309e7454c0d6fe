// One training step of a small convolutional network on one CPU core, from a flat program (see fused.py).
//
// Tensors are [block][pixel][channel][32]: 32 images side by side fill whole vectors, so that a convolution is a plain
// loop of (weight scalar) x (vectors) and needs no padding, no im2col and no layout change between operations.
// Where an output pixel reads from is a table, written once per geometry: the same kernels do any kernel size, any
// stride, and the transposed convolution of the backward pass.
//
// Vectors are as wide as the machine's registers: a wider one would live in memory, which costs a factor of ten. Sums are
// taken in the same order at any width, so that the width does not show in the results.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <tuple>
#include <vector>
#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace {
constexpr int LANES = 32, HALF = 16;  // images side by side; a sum over images keeps HALF partial sums, whatever the width
constexpr int PIECE = 24;  // output pixels of four channels (12 KB) and what they read, in the first-level cache
#if defined(__AVX512F__)  // 32 registers of 16 floats
constexpr int W = 16, OUTPUTS = 8, INPUTS = 4;  // floats in a vector; outputs and inputs whose sums stay in registers
#elif defined(__AVX__)    // 16 of 8
constexpr int W = 8, OUTPUTS = 4, INPUTS = 2;
#else                     // 16 or 32 of 4
constexpr int W = 4, OUTPUTS = 4, INPUTS = 2;
#endif
typedef float Vec __attribute__((vector_size(W * sizeof(float)), aligned(W * sizeof(float))));
typedef float Quad __attribute__((vector_size(4 * sizeof(float)), aligned(4 * sizeof(float))));

inline Vec load(const float *p) { return *reinterpret_cast<const Vec *>(p); }
inline void store(float *p, Vec v) { *reinterpret_cast<Vec *>(p) = v; }
#if defined(__AVX512F__)  // GCC would re-read a register's worth from memory at every use
#define KEEP(v) asm("" : "+v"(v))
#elif defined(__AVX__)
#define KEEP(v) asm("" : "+x"(v))
#else
#define KEEP(v)
#endif

// a b + c, rounded once. Said where a compiler could choose which product of a sum to fuse, or none: results would follow it.
inline Vec fused(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX__) && defined(__FMA__)
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}
inline Vec fused(Vec a, float b, Vec c) { return fused(a, Vec{} + b, c); }

// HALF lanes -> their sum by halves, halves of halves, ...: sixteen additions in a row would wait for each other.
inline Quad folded(const float *v) {
    const Quad *q = reinterpret_cast<const Quad *>(v);
    return (q[0] + q[2]) + (q[1] + q[3]);
}
inline float sum(const float *v) {
    const Quad q = folded(v);
    return (q[0] + q[2]) + (q[1] + q[3]);
}
inline void sums_of_four(const float *v, float *out) {  // of four vectors of HALF, one after the other, the same sums
    const Quad a = folded(v), b = folded(v + HALF), c = folded(v + 2 * HALF), d = folded(v + 3 * HALF);
#define JOIN __builtin_shufflevector
    const Quad low = JOIN(a, b, 0, 1, 4, 5) + JOIN(a, b, 2, 3, 6, 7), high = JOIN(c, d, 0, 1, 4, 5) + JOIN(c, d, 2, 3, 6, 7);
    *reinterpret_cast<Quad *>(out) = JOIN(low, high, 0, 2, 4, 6) + JOIN(low, high, 1, 3, 5, 7);
#undef JOIN
}
// s[0..HALF) += x, s[HALF..2 HALF) += x y, with both halves of the LANES added up.
inline void collect(float *s, const float *x, const float *y) {
    for (int l = 0; l < HALF; l += W) {
        const Vec u = load(x + l), v = load(x + HALF + l);
        store(s + l, load(s + l) + (u + v));
        store(s + HALF + l, load(s + HALF + l) + fused(u, load(y + l), v * load(y + HALF + l)));
    }
}

struct Buffer {  // 64-byte aligned floats
    float *data = nullptr;
    int64_t size = 0;
    explicit Buffer(int64_t n = 0) : size(n) {
        if (n) data = static_cast<float *>(__builtin_assume_aligned(aligned_alloc(64, (n * 4 + 63) / 64 * 64), 64));
        if (n) memset(data, 0, n * 4);
    }
    Buffer(const Buffer &) = delete;
    Buffer(Buffer &&o) noexcept : data(o.data), size(o.size) { o.data = nullptr; }
    ~Buffer() { free(data); }
};

struct Link { int tap, pixel; };
struct Geometry {  // which input pixels an output pixel reads, three ways round
    std::vector<std::vector<Link>> forward, backward;          // output -> inputs, input -> outputs
    std::vector<std::vector<std::pair<int, int>>> taps;        // tap -> (output, input), outputs ascending
    std::vector<std::vector<int>> starts;                      // tap -> where each PIECE of outputs begins, and the end
    std::vector<float> shares;                                 // 1 / pixels read by an output pixel
    Geometry(int in, int kernel, int stride, int pad, int out)
        : forward(out * out), backward(in * in), taps(kernel * kernel) {
        for (int h = 0; h < out; h++) for (int w = 0; w < out; w++)
            for (int ky = 0; ky < kernel; ky++) for (int kx = 0; kx < kernel; kx++) {
                int y = h * stride + ky - pad, x = w * stride + kx - pad, tap = ky * kernel + kx;
                if (y < 0 || y >= in || x < 0 || x >= in) continue;
                forward[h * out + w].push_back({tap, y * in + x});
                backward[y * in + x].push_back({tap, h * out + w});
                taps[tap].push_back({h * out + w, y * in + x});
            }
        for (const auto &links : forward) shares.push_back(1.0f / links.size());
        for (const auto &pairs : taps) {
            starts.emplace_back(1, 0);
            for (int edge = PIECE; edge < out * out; edge += PIECE)
                starts.back().push_back(static_cast<int>(
                    std::lower_bound(pairs.begin(), pairs.end(), std::make_pair(edge, -1)) - pairs.begin()));
            starts.back().push_back(static_cast<int>(pairs.size()));
        }
    }
};

// y (+)= conv(x); weight is [tap][cout / 8][cin][8]; `sums` (2 * cout * HALF floats) collects sum and sum of squares.
void convolve(const float *x, float *y, const float *weight, const std::vector<std::vector<Link>> &links, int blocks,
              int pixels_in, int cin, int cout, bool add, float *sums) {
    constexpr int TWO = 2 * W;  // lanes at once
    const int pixels_out = static_cast<int>(links.size());
    for (int n = 0; n < blocks; n++)
        for (int p = 0; p < pixels_out; p++)
            for (int o0 = 0; o0 < cout; o0 += OUTPUTS) {
                float *outputs = y + (static_cast<int64_t>(n * pixels_out + p) * cout + o0) * LANES;
                for (int lane = 0; lane < LANES; lane += TWO) {
                    float *out = outputs + lane;
                    Vec a[OUTPUTS], b[OUTPUTS];
#pragma GCC unroll 8
                    for (int o = 0; o < OUTPUTS; o++) {
                        a[o] = add ? load(out + o * LANES) : Vec{};
                        b[o] = add ? load(out + o * LANES + W) : Vec{};
                    }
                    for (const Link &link : links[p]) {
                        const float *in = x + static_cast<int64_t>(n * pixels_in + link.pixel) * cin * LANES + lane;
                        const float *w = weight + static_cast<int64_t>(link.tap * (cout / 8) + o0 / 8) * cin * 8 + o0 % 8;
                        for (int i = 0; i < cin; i++, in += LANES, w += 8) {
                            const Vec u = load(in), v = load(in + W);
#pragma GCC unroll 8
                            for (int o = 0; o < OUTPUTS; o++) {
                                a[o] = fused(u, w[o], a[o]);
                                b[o] = fused(v, w[o], b[o]);
                            }
                        }
                    }
#pragma GCC unroll 8
                    for (int o = 0; o < OUTPUTS; o++) {
                        store(out + o * LANES, a[o]);
                        store(out + o * LANES + W, b[o]);
                    }
                }
                if (sums)
                    for (int o = 0; o < OUTPUTS; o++)
                        collect(sums + (o0 + o) * 2 * HALF, outputs + o * LANES, outputs + o * LANES);
            }
}

// (4, IB, HALF) sums over pairs of pixels of dy x, for W lanes of each half.
template <int IB>
inline void products(const float *x, const float *dy, const std::pair<int, int> *begin, const std::pair<int, int> *end,
                     int blocks, int pixels_in, int pixels_out, int cin, int cout, float *acc, int stride) {
    constexpr int OB = 4;
    Vec a[OB][IB] = {};
    for (int n = 0; n < blocks; n++, x += static_cast<int64_t>(pixels_in) * cin * LANES, dy += static_cast<int64_t>(pixels_out) * cout * LANES)
        for (const auto *pair = begin; pair != end; pair++) {
            const float *in = x + pair->second * cin * LANES;
            const float *out = dy + pair->first * cout * LANES;
#pragma GCC unroll 2
            for (int half = 0; half < LANES; half += HALF) {
                Vec u[IB];
#pragma GCC unroll 4
                for (int i = 0; i < IB; i++) {
                    u[i] = load(in + i * LANES + half);
                    KEEP(u[i]);
                }
#pragma GCC unroll 4
                for (int o = 0; o < OB; o++) {
                    Vec d = load(out + o * LANES + half);
                    KEEP(d);
#pragma GCC unroll 4
                    for (int i = 0; i < IB; i++) a[o][i] = fused(d, u[i], a[o][i]);
                }
            }
        }
#pragma GCC unroll 4
    for (int o = 0; o < OB; o++)  // unrolled, or the accumulators would live in memory
#pragma GCC unroll 4
        for (int i = 0; i < IB; i++) store(acc + (o * stride + i) * HALF, a[o][i]);
}

// gradient[cout][cin][tap] += sum over images and pixels of dy x. Works through pieces that stay in the first-level
// cache: for all taps, IB input channels and four output channels of a few rows.
template <int IB>
void weight_gradient(const float *x, const float *dy, float *gradient, const Geometry &g, int blocks, int pixels_in,
                     int pixels_out, int cin, int cout, float *partial) {
    constexpr int OB = 4, STEP = IB < INPUTS ? IB : INPUTS;
    const int kernel = static_cast<int>(g.taps.size()), cells = kernel * cin * cout;
    const int group = std::max(1, std::min(blocks, PIECE / pixels_out));
    const int pieces = (pixels_out + PIECE - 1) / PIECE;
    const bool once = group == blocks && pieces == 1;
    if (!once) memset(partial, 0, static_cast<size_t>(cells) * HALF * 4);
    alignas(64) float acc[OB * IB * HALF], totals[OB * IB];
    for (int n0 = 0; n0 < blocks; n0 += group)
        for (int piece = 0; piece < pieces; piece++)
            for (int i0 = 0; i0 < cin; i0 += IB)
                for (int o0 = 0; o0 < cout; o0 += OB)
                    for (int tap = 0; tap < kernel; tap++) {
                        const std::pair<int, int> *begin = g.taps[tap].data(), *end = begin + g.taps[tap].size();
                        if (pieces > 1) {
                            end = begin + g.starts[tap][piece + 1];
                            begin += g.starts[tap][piece];
                        }
                        const float *in = x + (static_cast<int64_t>(n0) * pixels_in * cin + i0) * LANES;
                        const float *out = dy + (static_cast<int64_t>(n0) * pixels_out * cout + o0) * LANES;
                        const int images = std::min(blocks, n0 + group) - n0;
                        for (int lane = 0; lane < HALF; lane += W)
                            for (int i = 0; i < IB; i += STEP)
                                products<STEP>(in + i * LANES + lane, out + lane, begin, end, images, pixels_in, pixels_out,
                                               cin, cout, acc + i * HALF + lane, IB);
                        if (once) {
                            for (int j = 0; j < OB * IB; j += 4) sums_of_four(acc + j * HALF, totals + j);
                            for (int j = 0; j < OB * IB; j++)
                                gradient[(static_cast<int64_t>(o0 + j / IB) * cin + i0 + j % IB) * kernel + tap] += totals[j];
                            continue;
                        }
                        for (int j = 0; j < OB * IB; j++) {
                            float *to = partial + ((static_cast<int64_t>(o0 + j / IB) * cin + i0 + j % IB) * kernel + tap) * HALF;
                            for (int lane = 0; lane < HALF; lane += W) store(to + lane, load(to + lane) + load(acc + j * HALF + lane));
                        }
                    }
    if (once) return;
    int at = 0;
    for (; at + 4 <= cells; at += 4) {
        sums_of_four(partial + static_cast<int64_t>(at) * HALF, totals);
        for (int j = 0; j < 4; j++) gradient[at + j] += totals[j];
    }
    for (; at < cells; at++) gradient[at] += sum(partial + static_cast<int64_t>(at) * HALF);
}

enum Kind { CONV_BN, CONV, RELU, SKIP, POOL, BN };
struct Op { int32_t kind, src, dst, cin, cout, in, out, kernel, stride, pad, weight, scale, running; };

struct Net {
    int blocks, batch, classes, features, head_src, head_pixels, head_weight, count_params;
    bool training = true;
    float momentum = 0.1f, epsilon = 1e-5f;
    std::vector<Op> ops;
    std::vector<Buffer> value, grad, pre;
    std::vector<char> has_value, has_grad;
    std::vector<int64_t> sizes;
    std::map<std::tuple<int, int, int, int>, Geometry> geometries;
    std::vector<const Geometry *> geometry;
    std::vector<std::vector<float>> mean, inverse;
    Buffer scratch, packed, sums, partial;
    float *params, *running;
    std::vector<float> gradient;

    Net(int tensors, const int64_t *tensor_sizes, int n_ops, const Op *program, int blocks, int n_params)
        : blocks(blocks), batch(blocks * LANES), count_params(n_params), ops(program, program + n_ops),
          has_value(tensors), has_grad(tensors), mean(n_ops), inverse(n_ops), scratch(0), packed(0), sums(0), partial(0),
          gradient(n_params) {
        int64_t largest = 0, weights = 0;
        for (int t = 0; t < tensors; t++) {  // sizes are pixels * channels
            sizes.push_back(tensor_sizes[t] * LANES * blocks);
            value.emplace_back(sizes[t]);
            grad.emplace_back(sizes[t]);
        }
        for (const Op &op : ops) {
            const int64_t out = static_cast<int64_t>(op.out) * op.out * op.cout * LANES * blocks;
            largest = std::max(largest, out);
            weights = std::max(weights, static_cast<int64_t>(op.kernel) * op.kernel * op.cin * op.cout);
            auto key = std::make_tuple(op.in, op.kernel, op.stride, op.pad);
            if (op.kernel && !geometries.count(key))
                geometries.emplace(key, Geometry(op.in, op.kernel, op.stride, op.pad, op.out));
            geometry.push_back(op.kernel ? &geometries.at(key) : nullptr);
            pre.emplace_back(op.kind == CONV_BN ? out : 0);
        }
        new (&scratch) Buffer(largest);
        new (&packed) Buffer(weights);
        new (&partial) Buffer(weights * HALF);
        new (&sums) Buffer(2 * HALF * 4096);
    }

    float *read(int t) {
        if (!has_value[t]) memset(value[t].data, 0, sizes[t] * 4), has_value[t] = 1;
        return value[t].data;
    }

    void pack(const Op &op, bool transposed) {  // [cout][cin][tap] -> [tap][to / 8][from][8]
        const int taps = op.kernel * op.kernel, from = transposed ? op.cout : op.cin, to = transposed ? op.cin : op.cout;
        const float *w = params + op.weight;
        for (int t = 0; t < taps; t++)
            for (int o = 0; o < to; o++)
                for (int i = 0; i < from; i++) {
                    const int64_t source = transposed ? (static_cast<int64_t>(i) * op.cin + o) : (static_cast<int64_t>(o) * op.cin + i);
                    packed.data[((static_cast<int64_t>(t) * (to / 8) + o / 8) * from + i) * 8 + o % 8] = w[source * taps + t];
                }
    }

    void statistics(size_t k, int64_t count) {  // from `sums`; the running estimate takes the unbiased variance
        const Op &op = ops[k];
        mean[k].resize(op.cout), inverse[k].resize(op.cout);
        float *run = running + op.running;
        for (int c = 0; c < op.cout; c++) {
            float m = run[c], variance = run[op.cout + c];
            if (training) {
                double s = 0, ss = 0;
                for (int i = 0; i < HALF; i++) s += sums.data[c * 2 * HALF + i], ss += sums.data[c * 2 * HALF + HALF + i];
                m = static_cast<float>(s / count);
                variance = static_cast<float>(std::max(0.0, ss / count - (s / count) * (s / count)));
                run[c] += momentum * (m - run[c]);
                run[op.cout + c] += momentum * (variance * count / (count - 1) - run[op.cout + c]);
            }
            mean[k][c] = m;
            inverse[k][c] = 1.0f / std::sqrt(variance + epsilon);
        }
    }

    void normalise(size_t k, const float *x, float *y, bool add) {
        const Op &op = ops[k];
        const int64_t rows = static_cast<int64_t>(blocks) * op.out * op.out;
        const float *scale = params + op.scale, *shift = scale + op.cout;
        std::vector<float> a(op.cout), b(op.cout);
        for (int c = 0; c < op.cout; c++) a[c] = scale[c] * inverse[k][c], b[c] = shift[c] - mean[k][c] * a[c];
        for (int64_t r = 0; r < rows; r++)
            for (int c = 0; c < op.cout; c++)
                for (int lane = 0; lane < LANES; lane += W, x += W, y += W) {
                    const Vec v = fused(load(x), a[c], Vec{} + b[c]);
                    store(y, add ? load(y) + v : v);
                }
    }

    void forward() {
        std::fill(has_value.begin() + 1, has_value.end(), 0);
        has_value[0] = 1;
        for (size_t k = 0; k < ops.size(); k++) {
            const Op &op = ops[k];
            const float *x = read(op.src);
            float *y = value[op.dst].data;
            const bool add = has_value[op.dst];
            const int64_t count = sizes[op.dst];
            if (op.kind == CONV_BN || op.kind == CONV) {
                pack(op, false);
                float *out = op.kind == CONV ? y : pre[k].data;
                const bool statistic = op.kind == CONV_BN && training;
                if (statistic) memset(sums.data, 0, 2 * HALF * op.cout * 4);
                convolve(x, out, packed.data, geometry[k]->forward, blocks, op.in * op.in, op.cin, op.cout,
                            op.kind == CONV && add, statistic ? sums.data : nullptr);
                if (op.kind == CONV_BN) {
                    statistics(k, static_cast<int64_t>(batch) * op.out * op.out);
                    normalise(k, out, y, add);
                }
            } else if (op.kind == BN) {
                if (training) {
                    memset(sums.data, 0, 2 * HALF * op.cout * 4);
                    const float *p = x;
                    for (int64_t r = 0; r < count / (op.cout * LANES); r++)
                        for (int c = 0; c < op.cout; c++, p += LANES) collect(sums.data + c * 2 * HALF, p, p);
                }
                statistics(k, static_cast<int64_t>(batch) * op.out * op.out);
                normalise(k, x, y, add);
            } else if (op.kind == RELU) {
                for (int64_t i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : 0;
            } else if (op.kind == SKIP) {
                if (add) for (int64_t i = 0; i < count; i++) y[i] += x[i];
                else memcpy(y, x, count * 4);
            } else {
                pool(*geometry[k], x, y, op, add);
            }
            has_value[op.dst] = 1;
        }
    }

    void pool(const Geometry &g, const float *x, float *y, const Op &op, bool add) {  // mean of the pixels that exist
        const int width = op.cin * LANES;
        for (int n = 0; n < blocks; n++)
            for (size_t p = 0; p < g.forward.size(); p++) {
                float *out = y + (n * g.forward.size() + p) * width;
                const float share = g.shares[p];
                for (int c = 0; c < width; c += W) {
                    Vec total{};
                    for (const Link &link : g.forward[p]) total += load(x + (static_cast<int64_t>(n) * op.in * op.in + link.pixel) * width + c);
                    store(out + c, add ? load(out + c) + total * share : total * share);
                }
            }
    }

    void unpool(const Geometry &g, const float *dy, float *dx, const Op &op, bool add) {
        const int width = op.cin * LANES;
        for (int n = 0; n < blocks; n++)
            for (size_t q = 0; q < g.backward.size(); q++) {
                float *out = dx + (n * g.backward.size() + q) * width;
                for (int c = 0; c < width; c += W) {
                    Vec total = add ? load(out + c) : Vec{};
                    for (const Link &link : g.backward[q])
                        total = fused(load(dy + (n * g.forward.size() + link.pixel) * width + c), g.shares[link.pixel], total);
                    store(out + c, total);
                }
            }
    }

    // dx (may be dy) = gradient through the normalisation; adds to the gradients of scale and shift.
    void normalise_backward(size_t k, const float *x, const float *dy, float *dx, bool add) {
        const Op &op = ops[k];
        const int64_t rows = static_cast<int64_t>(blocks) * op.out * op.out;
        memset(sums.data, 0, 2 * HALF * op.cout * 4);
        const float *p = x, *d = dy;
        for (int64_t r = 0; r < rows; r++)
            for (int c = 0; c < op.cout; c++, p += LANES, d += LANES) collect(sums.data + c * 2 * HALF, d, p);
        std::vector<float> a(op.cout), b(op.cout), e(op.cout);
        const float *scale = params + op.scale;
        const double count = static_cast<double>(batch) * op.out * op.out;
        for (int c = 0; c < op.cout; c++) {
            double s = 0, sx = 0;
            for (int i = 0; i < HALF; i++) s += sums.data[c * 2 * HALF + i], sx += sums.data[c * 2 * HALF + HALF + i];
            const double inv = inverse[k][c], m = mean[k][c], ds = inv * (sx - m * s);
            gradient[op.scale + c] += static_cast<float>(ds);
            gradient[op.scale + op.cout + c] += static_cast<float>(s);
            a[c] = static_cast<float>(scale[c] * inv);
            b[c] = static_cast<float>(-scale[c] * inv * inv * ds / count);
            e[c] = static_cast<float>(scale[c] * inv * (inv * m * ds - s) / count);
        }
        for (int64_t r = 0; r < rows; r++)
            for (int c = 0; c < op.cout; c++)
                for (int lane = 0; lane < LANES; lane += W, x += W, dy += W, dx += W) {
                    const Vec v = fused(load(dy), a[c], load(x) * b[c]) + e[c];
                    store(dx, add ? load(dx) + v : v);
                }
    }

    void backward() {
        for (size_t k = ops.size(); k-- > 0;) {
            const Op &op = ops[k];
            if (!has_grad[op.dst]) continue;
            const float *x = value[op.src].data, *dy = grad[op.dst].data;
            float *dx = grad[op.src].data;
            const bool add = has_grad[op.src];
            const int64_t count = sizes[op.dst];
            if (op.kind == CONV_BN || op.kind == CONV) {
                if (op.kind == CONV_BN) {
                    normalise_backward(k, pre[k].data, dy, scratch.data, false);
                    dy = scratch.data;
                }
                const int pixels_in = op.in * op.in, pixels_out = op.out * op.out;
                float *dw = gradient.data() + op.weight;
                if (op.cin % 4 == 0) weight_gradient<4>(x, dy, dw, *geometry[k], blocks, pixels_in, pixels_out, op.cin, op.cout, partial.data);
                else weight_gradient<1>(x, dy, dw, *geometry[k], blocks, pixels_in, pixels_out, op.cin, op.cout, partial.data);
                if (op.src != 0) {  // nobody needs the gradient of the image
                    pack(op, true);
                    convolve(dy, dx, packed.data, geometry[k]->backward, blocks, pixels_out, op.cout, op.cin, add, nullptr);
                }
            } else if (op.kind == BN) {
                normalise_backward(k, x, dy, dx, add);
            } else if (op.kind == RELU) {
                if (add) for (int64_t i = 0; i < count; i++) dx[i] += x[i] > 0 ? dy[i] : 0;
                else for (int64_t i = 0; i < count; i++) dx[i] = x[i] > 0 ? dy[i] : 0;
            } else if (op.kind == SKIP) {
                if (add) for (int64_t i = 0; i < count; i++) dx[i] += dy[i];
                else memcpy(dx, dy, count * 4);
            } else {
                unpool(*geometry[k], dy, dx, op, add);
            }
            has_grad[op.src] = 1;
        }
    }

    void put(const float *images, int pixels, int inputs, int count) {  // [image][channel][pixel] -> our order
        float *x = value[0].data;
        for (int i = 0; i < batch; i++)
            for (int p = 0; p < pixels; p++)
                for (int c = 0; c < inputs; c++)
                    x[((static_cast<int64_t>(i / LANES) * pixels + p) * inputs + c) * LANES + i % LANES] =
                        i < count ? images[(static_cast<int64_t>(i) * inputs + c) * pixels + p] : 0.0f;
    }

    // Mean over pixels, linear layer, cross-entropy. Returns the summed loss; adds the hits; with `training`, gradients.
    double head(const int64_t *labels, int count, int64_t *hits) {
        const float *x = read(head_src), *w = params + head_weight, *bias = w + classes * features;
        float *dw = gradient.data() + head_weight, *dbias = dw + classes * features, *dx = grad[head_src].data;
        std::vector<float> pooled(features), logits(classes), delta(features);
        double loss = 0;
        for (int i = 0; i < count; i++) {
            const int64_t base = static_cast<int64_t>(i / LANES) * head_pixels * features * LANES + i % LANES;
            for (int f = 0; f < features; f++) {
                float total = 0;
                for (int p = 0; p < head_pixels; p++) total += x[base + (static_cast<int64_t>(p) * features + f) * LANES];
                pooled[f] = total / head_pixels;
            }
            int best = 0;
            for (int c = 0; c < classes; c++) {
                float total = bias[c];
                for (int f = 0; f < features; f++) total += w[c * features + f] * pooled[f];
                logits[c] = total;
                if (total > logits[best]) best = c;
            }
            *hits += best == labels[i];
            double normaliser = 0;
            for (int c = 0; c < classes; c++) normaliser += std::exp(logits[c] - logits[best]);
            loss += std::log(normaliser) - (logits[labels[i]] - logits[best]);
            if (!training) continue;
            std::fill(delta.begin(), delta.end(), 0.0f);
            for (int c = 0; c < classes; c++) {
                const float d = static_cast<float>((std::exp(logits[c] - logits[best]) / normaliser - (c == labels[i])) / count);
                dbias[c] += d;
                for (int f = 0; f < features; f++) dw[c * features + f] += d * pooled[f], delta[f] += d * w[c * features + f];
            }
            for (int p = 0; p < head_pixels; p++)
                for (int f = 0; f < features; f++) dx[base + (static_cast<int64_t>(p) * features + f) * LANES] = delta[f] / head_pixels;
        }
        has_grad[head_src] = 1;
        return loss;
    }
};
}  // namespace

extern "C" {
// sizes: pixels * channels per tensor (0 is the image); head: source tensor, pixels, features, classes, weight offset.
void *net_new(int tensors, const int64_t *sizes, int n_ops, const int32_t *program, int blocks, int n_params, const int32_t *head) {
    Net *net = new Net(tensors, sizes, n_ops, reinterpret_cast<const Op *>(program), blocks, n_params);
    net->head_src = head[0], net->head_pixels = head[1], net->features = head[2], net->classes = head[3], net->head_weight = head[4];
    return net;
}
void net_free(void *net) { delete static_cast<Net *>(net); }

// `steps` steps of SGD with Nesterov momentum on consecutive batches; returns the mean loss, or nan once it diverges.
double net_train(void *handle, float *params, float *running, float *velocity, const float *images, const int64_t *labels,
                 int steps, int pixels, int inputs, const double *rates, double momentum, double decay, int64_t *hits, float *gradient) {
    Net &net = *static_cast<Net *>(handle);
    net.params = params, net.running = running, net.training = true;
    double total = 0;
    for (int s = 0; s < steps; s++) {
        const int64_t first = static_cast<int64_t>(s) * net.batch;
        std::fill(net.gradient.begin(), net.gradient.end(), 0.0f);
        std::fill(net.has_grad.begin(), net.has_grad.end(), 0);
        net.put(images + first * pixels * inputs, pixels, inputs, net.batch);
        net.forward();
        const double loss = net.head(labels + first, net.batch, hits) / net.batch;
        if (!std::isfinite(loss)) return NAN;
        total += loss;
        net.backward();
        if (gradient) memcpy(gradient, net.gradient.data(), net.count_params * 4);
        const float m = static_cast<float>(momentum), wd = static_cast<float>(decay), rate = static_cast<float>(rates[s]);
        for (int i = 0; i < net.count_params; i++) {
            const float g = net.gradient[i] + wd * params[i];
            velocity[i] = m * velocity[i] + g;
            params[i] -= rate * (g + m * velocity[i]);
        }
    }
    return total / steps;
}

// Right answers among `count` images, batch statistics replaced by the running ones.
int64_t net_evaluate(void *handle, float *params, float *running, const float *images, const int64_t *labels, int64_t count, int pixels, int inputs) {
    Net &net = *static_cast<Net *>(handle);
    net.params = params, net.running = running, net.training = false;
    int64_t hits = 0;
    for (int64_t first = 0; first < count; first += net.batch) {
        const int now = static_cast<int>(std::min<int64_t>(net.batch, count - first));
        net.put(images + first * pixels * inputs, pixels, inputs, now);
        net.forward();
        net.head(labels + first, now, &hits);
    }
    return hits;
}
}
