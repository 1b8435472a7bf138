using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Products whose sums are split into parts: see <see cref="DepthSplit"/>.</summary>
internal sealed partial class GpuBackend
{
    /// <summary>Parts of every sum that is long enough, or null to choose: what tests set.</summary>
    internal int? OnlyParts { get; set; }

    /// <summary>
    /// Whether a convolution's output is added up from parts, so that no tile has whole sums: what needs those in a tile is for others.
    /// </summary>
    private bool IsSplit(in Conv2DShape s) => ForwardProduct(s with { C = UsesTiles ? PaddedColumns(s.C) : s.C }).Slices > 1;

    /// <summary>Output pixels × output channels × taps and input channels as staged.</summary>
    private GemmShape ForwardProduct(in Conv2DShape s)
        => SplitProduct(s.Pixels, s.K, s.Depth, (long)DepthSplit.Images * s.OutH * s.OutW);

    /// <summary>Pixels of a class × input channels × the taps that reach it and output channels as staged.</summary>
    private GemmShape Product(in Conv2DShape s, in Conv2DGradientWindow window)
    {
        int pixels = window.PixelsH * window.PixelsW;
        return SplitProduct(s.N * pixels, s.C, window.TapsH * window.TapsW * s.K, (long)DepthSplit.Images * pixels);
    }

    /// <summary>One product, its sums split where that pays.</summary>
    /// <param name="lines">Rows of the result.</param>
    /// <param name="columns">Columns of the result.</param>
    /// <param name="depth">Terms of each sum.</param>
    /// <param name="countedLines">Rows that the number of parts is chosen for; all of them unless given.</param>
    private GemmShape SplitProduct(int lines, int columns, int depth, long? countedLines = null)
    {
        var product = new GemmShape { Lines = lines, Columns = columns, Depth = depth, Slices = 1, SliceDepth = depth };
        int ofPart = DepthSplit.DepthOfPart(depth, OnlyParts ?? DepthSplit.Parts(countedLines ?? lines, columns, depth));
        if (ofPart >= depth)
            return product;
        product.Slices = (depth + ofPart - 1) / ofPart;
        product.SliceDepth = product.SliceStep = ofPart;
        return product;
    }

    /// <summary>The parts go to memory, [parts, lines, columns] with columns padded to whole fours; one pass adds them in their order and
    /// hands the sums to the result.</summary>
    private void MultiplyParts<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(TLeft left, TRight right, TResult result, GemmShape shape)
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        int fours = (shape.Columns + 3) >> 2;
        int size = checked(shape.Lines * fours);
        using var parts = Rent(4L * shape.Slices * size);
        MultiplyWhole<TLeft, TLeftOrder, TRight, TRightOrder, MatrixResult<FourWide>>(left, right,
            new MatrixResult<FourWide> { Values = parts.View, Lines = shape.Lines, Columns = 4 * fours, SliceStride = 4 * size }, shape);
        _launcher.ForEach(size, new AddPartsKernel<TResult>(parts.View, shape.Slices, size, Divisor.Of(fours), result));
    }

    /// <summary>Thread = four columns of one line: their parts in order, four reads under way at a time.</summary>
    internal readonly struct AddPartsKernel<TResult>(ArrayView<float> parts, int count, int size, Divisor fours, TResult result)
        : IElementKernel
        where TResult : struct, IResult
    {
        public void Run(int i)
        {
            var values = parts.Cast<F4>();
            var sums = values[i];
            int part = 1, at = i + size;
            for (; part + 3 < count; part += 4)
            {
                F4 a = values[at], b = values[at + size], c = values[at + (2 * size)], d = values[at + (3 * size)];
                sums = F4.Add(F4.Add(F4.Add(F4.Add(sums, a), b), c), d);
                at += 4 * size;
            }
            for (; part < count; part++)
            {
                sums = F4.Add(sums, values[at]);
                at += size;
            }
            int line = fours.Divide(i);
            result.Write(0, line, fours.Remainder(i, line) << 2, sums, 1);
        }
    }
}
