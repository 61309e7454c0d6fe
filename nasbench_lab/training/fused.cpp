// One training step of a small convolutional network on one CPU core, from a flat program (see fused.py).
//
// Tensors are [block][pixel][channel][32]: 32 images side by side fill two vectors, so that a convolution is a plain
// loop of (weight scalar) x (two vectors) and needs no padding, no im2col and no layout change between operations.
// Where an output pixel reads from is a table, written once per geometry: the same kernels do any kernel size, any
// stride, and the transposed convolution of the backward pass.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <tuple>
#include <vector>

namespace {
constexpr int LANES = 32, HALF = 16;
constexpr int PIECE = 24;  // output pixels of four channels (12 KB) and what they read, in the first-level cache
typedef float Vec __attribute__((vector_size(HALF * sizeof(float)), aligned(64)));

inline Vec load(const float *p) { return *reinterpret_cast<const Vec *>(p); }
inline void store(float *p, Vec v) { *reinterpret_cast<Vec *>(p) = v; }
#ifdef __AVX512F__  // GCC would re-read a register's worth from memory at every use
#define KEEP(v) asm("" : "+v"(v))
#else
#define KEEP(v)
#endif
inline float sum(Vec v) {  // a tree: sixteen additions in a row would wait for each other
    float a[8], b[4];
    for (int i = 0; i < 8; i++) a[i] = v[i] + v[i + 8];
    for (int i = 0; i < 4; i++) b[i] = a[i] + a[i + 4];
    return (b[0] + b[2]) + (b[1] + b[3]);
}

// Lane j of the result is sum(v[j]): sixteen sums at once, in 45 instructions instead of 240.
inline Vec sums_of(const Vec *v) {
    Vec a[8], b[4], c[2];
#define JOIN(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        a[i] = JOIN(v[2 * i], v[2 * i + 1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
               JOIN(v[2 * i], v[2 * i + 1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        b[i] = JOIN(a[2 * i], a[2 * i + 1], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
               JOIN(a[2 * i], a[2 * i + 1], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
        c[i] = JOIN(b[2 * i], b[2 * i + 1], 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29) +
               JOIN(b[2 * i], b[2 * i + 1], 2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31);
    return JOIN(c[0], c[1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
           JOIN(c[0], c[1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
#undef JOIN
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

// y (+)= conv(x); weight is [tap][cout / OB][cin][OB]; `sums` (2 * cout * HALF floats) collects sum and sum of squares.
template <int OB>
void convolve(const float *x, float *y, const float *weight, const std::vector<std::vector<Link>> &links, int blocks,
              int pixels_in, int cin, int cout, bool add, float *sums) {
    const int pixels_out = static_cast<int>(links.size());
    for (int n = 0; n < blocks; n++)
        for (int p = 0; p < pixels_out; p++)
            for (int ob = 0; ob < cout / OB; ob++) {
                float *out = y + (static_cast<int64_t>(n * pixels_out + p) * cout + ob * OB) * LANES;
                Vec a[OB], b[OB];
                for (int o = 0; o < OB; o++) {
                    a[o] = add ? load(out + o * LANES) : Vec{};
                    b[o] = add ? load(out + o * LANES + HALF) : Vec{};
                }
                for (const Link &link : links[p]) {
                    const float *in = x + static_cast<int64_t>(n * pixels_in + link.pixel) * cin * LANES;
                    const float *w = weight + static_cast<int64_t>(link.tap * (cout / OB) + ob) * cin * OB;
                    for (int i = 0; i < cin; i++, in += LANES, w += OB) {
                        const Vec u = load(in), v = load(in + HALF);
#pragma GCC unroll 8
                        for (int o = 0; o < OB; o++) {
                            a[o] += u * w[o];
                            b[o] += v * w[o];
                        }
                    }
                }
                for (int o = 0; o < OB; o++) {
                    store(out + o * LANES, a[o]);
                    store(out + o * LANES + HALF, b[o]);
                }
                if (sums)
                    for (int o = 0; o < OB; o++) {
                        float *s = sums + (ob * OB + o) * 2 * HALF;
                        store(s, load(s) + (a[o] + b[o]));
                        store(s + HALF, load(s + HALF) + (a[o] * a[o] + b[o] * b[o]));
                    }
            }
}

// gradient[cout][cin][tap] += sum over images and pixels of dy x. Works through pieces that stay in the first-level
// cache: for all taps, four input channels and four output channels of a few rows.
template <int IB>
void weight_gradient(const float *x, const float *dy, float *gradient, const Geometry &g, int blocks, int pixels_in,
                     int pixels_out, int cin, int cout, float *partial) {
    constexpr int OB = 4;
    const int kernel = static_cast<int>(g.taps.size()), cells = kernel * cin * cout;
    const int group = std::max(1, std::min(blocks, PIECE / pixels_out));
    const int pieces = (pixels_out + PIECE - 1) / PIECE;
    const bool once = group == blocks && pieces == 1;
    if (!once) memset(partial, 0, static_cast<size_t>(cells) * HALF * 4);
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
                        Vec acc[OB][IB] = {};
                        for (int n = n0; n < std::min(blocks, n0 + group); n++) {
                            const float *in0 = x + (static_cast<int64_t>(n) * pixels_in * cin + i0) * LANES;
                            const float *out0 = dy + (static_cast<int64_t>(n) * pixels_out * cout + o0) * LANES;
                            for (const auto *pair = begin; pair != end; pair++) {
                                const float *in = in0 + pair->second * cin * LANES;
                                const float *out = out0 + pair->first * cout * LANES;
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
                                        for (int i = 0; i < IB; i++) acc[o][i] += d * u[i];
                                    }
                                }
                            }
                        }
                        if (once && OB * IB == HALF) {
                            const Vec totals = sums_of(&acc[0][0]);
                            for (int j = 0; j < HALF; j++)
                                gradient[(static_cast<int64_t>(o0 + j / IB) * cin + i0 + j % IB) * kernel + tap] += totals[j];
                            continue;
                        }
#pragma GCC unroll 4
                        for (int o = 0; o < OB; o++)  // unrolled, or the accumulators would live in memory
#pragma GCC unroll 4
                            for (int i = 0; i < IB; i++) {
                                const int64_t at = (static_cast<int64_t>(o0 + o) * cin + i0 + i) * kernel + tap;
                                if (once) gradient[at] += sum(acc[o][i]);
                                else store(partial + at * HALF, load(partial + at * HALF) + acc[o][i]);
                            }
                    }
    if (once) return;
    int at = 0;
    for (; at + HALF <= cells; at += HALF) {
        const Vec totals = sums_of(reinterpret_cast<const Vec *>(partial + static_cast<int64_t>(at) * HALF));
        for (int j = 0; j < HALF; j++) gradient[at + j] += totals[j];
    }
    for (; at < cells; at++) gradient[at] += sum(load(partial + static_cast<int64_t>(at) * HALF));
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
                for (int half = 0; half < LANES; half += HALF, x += HALF, y += HALF) {
                    const Vec v = load(x) * a[c] + b[c];
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
                convolve<8>(x, out, packed.data, geometry[k]->forward, blocks, op.in * op.in, op.cin, op.cout,
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
                        for (int c = 0; c < op.cout; c++, p += LANES) {
                            float *s = sums.data + c * 2 * HALF;
                            const Vec u = load(p), v = load(p + HALF);
                            store(s, load(s) + (u + v)), store(s + HALF, load(s + HALF) + (u * u + v * v));
                        }
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
                for (int c = 0; c < width; c += HALF) {
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
                for (int c = 0; c < width; c += HALF) {
                    Vec total = add ? load(out + c) : Vec{};
                    for (const Link &link : g.backward[q])
                        total += load(dy + (n * g.forward.size() + link.pixel) * width + c) * g.shares[link.pixel];
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
            for (int c = 0; c < op.cout; c++, p += LANES, d += LANES) {
                float *s = sums.data + c * 2 * HALF;
                const Vec u = load(d), v = load(d + HALF);
                store(s, load(s) + (u + v));
                store(s + HALF, load(s + HALF) + (u * load(p) + v * load(p + HALF)));
            }
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
                for (int half = 0; half < LANES; half += HALF, x += HALF, dy += HALF, dx += HALF) {
                    const Vec v = load(dy) * a[c] + load(x) * b[c] + e[c];
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
                    convolve<8>(dy, dx, packed.data, geometry[k]->backward, blocks, pixels_out, op.cout, op.cin, add, nullptr);
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
