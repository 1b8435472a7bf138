namespace Diffusion.Gpu.Kernels;

public sealed partial class Tape
{
    /// <summary>Multiplies matrices, batch by batch.</summary>
    /// <param name="a">[B, M, K] or [M, K]; stored [.., K, M] where <paramref name="transposeA"/>.</param>
    /// <param name="b">[B, K, N] or [K, N]; stored [.., N, K] where <paramref name="transposeB"/>.</param>
    /// <param name="transposeA">Multiply by the transpose of a.</param>
    /// <param name="transposeB">Multiply by the transpose of b.</param>
    /// <returns>[B, M, N] or [M, N].</returns>
    /// <exception cref="ShapeException">Batches or inner extents differ.</exception>
    /// <remarks>Gradients: a, b.</remarks>
    public Tensor MatMul(Tensor a, Tensor b, bool transposeA = false, bool transposeB = false)
    {
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        Check.That(a.Shape.Rank is 2 or 3, nameof(a), a.Shape, "2 or 3 axes");
        Check.Rank(b, a.Shape.Rank, "as many as a has");
        int batch = a.Shape.Rank == 3 ? a.Shape[0] : 1;
        int m = a.Shape[transposeA ? ^1 : ^2], k = a.Shape[transposeA ? ^2 : ^1], n = b.Shape[transposeB ? ^2 : ^1];
        Check.That(b.Shape[transposeB ? ^1 : ^2] == k && (a.Shape.Rank == 2 || b.Shape[0] == batch), nameof(b), b.Shape,
            $"a matrix that {a.Shape} can be multiplied by");
        var shape = new MatMulShape(batch, m, n, k, transposeA, transposeB);
        var y = New(a.Shape.Rank == 3 ? [batch, m, n] : [m, n]);
        Backend.MatMul(shape, a, b, new GradientTarget(y, false));
        return Record(y, [a, b], [a, b], (gradients, dy) =>
        {
            // dA = dC·op(B)ᵀ and dB = op(A)ᵀ·dC, each written in the order its operand is stored in.
            if (gradients.Wants(a))
            {
                if (transposeA)
                    Backend.MatMul(new MatMulShape(batch, k, m, n, transposeB, true), b, dy, gradients.To(a));
                else
                    Backend.MatMul(new MatMulShape(batch, m, k, n, false, !transposeB), dy, b, gradients.To(a));
            }
            if (gradients.Wants(b))
            {
                if (transposeB)
                    Backend.MatMul(new MatMulShape(batch, n, k, m, true, transposeA), dy, a, gradients.To(b));
                else
                    Backend.MatMul(new MatMulShape(batch, k, n, m, !transposeA, false), a, dy, gradients.To(b));
            }
        });
    }

    /// <summary>Applies a linear layer to every row: x · weightᵀ + bias.</summary>
    /// <param name="x">[.., C].</param>
    /// <param name="weight">[K, C].</param>
    /// <param name="bias">[K], or null.</param>
    /// <returns>[.., K].</returns>
    /// <exception cref="ShapeException">The weight's columns differ from the channels.</exception>
    /// <remarks>PyTorch's Linear. It is a convolution of one tap and shares its packed weights. Gradients: x, weight, bias.</remarks>
    public Tensor Linear(Tensor x, Tensor weight, Tensor? bias = null)
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(weight);
        Check.Rank(weight, 2, "[K, C]");
        int k = weight.Shape[0], c = weight.Shape[1];
        Check.That(x.Shape.Rank >= 1 && x.Shape[^1] == c, nameof(x), x.Shape, $"[.., {c}] for a weight {weight.Shape}");
        if (bias is not null)
            Check.Shape(bias, [k], "[K]");
        var shape = new Conv2DShape((int)(x.Count / c), 1, 1, c, k, 1, 1, 1, 0, 0);
        int[] output = x.Shape.Extents.ToArray();
        output[^1] = k;
        return Conv2D(shape, Shape.Create(output), x, weight, bias, null, Activation.None);
    }
}
