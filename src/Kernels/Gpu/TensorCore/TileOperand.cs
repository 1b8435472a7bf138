using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>How tensors become operands of tiles, which copy pieces of 16 bytes.</summary>
internal sealed partial class GpuBackend
{
    /// <summary>A tensor as a product reads it: itself where that will do, else a copy of it for the span of an op.</summary>
    /// <remarks>In TF32 a tensor will do where its rows are whole pieces: their length is a multiple of four. Otherwise, and in BF16
    /// always, rows are copied with zeros behind them, up to a multiple of four values or eight.</remarks>
    /// <param name="tensor">[rows, <paramref name="columns"/>].</param>
    /// <param name="columns">Length of a row.</param>
    private Operand Stage(Tensor tensor, int columns)
    {
        if (tensor.Storage.Parameter is not null || MayStay(tensor, columns))
            return StageWeights(tensor, columns);
        int padded = PaddedColumns(columns);
        var copy = Allocate(WordsOf(tensor.Count / columns, padded));
        Pack(tensor, columns, padded, View(copy));
        return new Operand(View(copy), padded, true, copy);
    }

    /// <summary>The same of a convolution's input. Two tensors that cannot stay become one copy.</summary>
    private ImageOperand Stage(in Conv2DShape s, in Conv2DInput x)
    {
        if (x.Second is null)
        {
            var image = Stage(x.First, s.C);
            return new ImageOperand(image, default, image.Columns, image.Columns, x.IsUpsampled);
        }
        bool isFourWide = IsFourWide(s.C | x.FirstChannels, x.First, x.Second);
        if (!UsesTiles || (Device.Precision == Precision.Tf32 && isFourWide))
        {
            return new ImageOperand(new Operand(View(x.First), x.FirstChannels, isFourWide), View(x.Second), x.FirstChannels, s.C);
        }
        int pixels = s.N * s.H * s.W, padded = PaddedColumns(s.C);
        var copy = Allocate(WordsOf(pixels, padded));
        var joined = new ImageOperand(new Operand(View(x.First), x.FirstChannels, isFourWide), View(x.Second), x.FirstChannels, s.C);
        var points = s with { R = 1, S = 1, Stride = 1, PadH = 0, PadW = 0 };
        if (isFourWide)
            Pack(JoinedPatches<FourWide>(points, joined), pixels, padded, View(copy));
        else
            Pack(JoinedPatches<OneWide>(points, joined), pixels, padded, View(copy));
        return new ImageOperand(new Operand(View(copy), padded, true, copy), default, padded, padded);
    }

    /// <summary>The same of a filter or another matrix of weights: its copy is kept until the values change.</summary>
    private Operand StageWeights(Tensor tensor, int columns)
    {
        if (MayStay(tensor, columns))
            return new Operand(View(tensor), columns, IsFourWide(columns, tensor));
        int padded = PaddedColumns(columns);
        var copy = PackedWeights.Of(tensor).Straight;
        if (copy.MustPack(this, (columns, 1), WordsOf(tensor.Count / columns, padded)))
            Pack(tensor, columns, padded, View(copy.Storage));
        return new Operand(View(copy.Storage), padded, true);
    }

    /// <summary>
    /// A filter as the gradient of the input reads it at a class of pixels, [C, taps of the class, K], with zeros behind every K up to
    /// whole pieces. The copies for all classes are kept, one behind the other, until the values change. So both operands have their depth
    /// in neighbouring addresses.
    /// </summary>
    private Operand StageTurned(Tensor filter, in Conv2DShape s, in Conv2DGradientWindow window, bool isUpsampled)
    {
        int padded = PaddedColumns(s.K), row = padded * s.C;
        var copy = PackedWeights.Of(filter).Turned;
        if (copy.MustPack(this, (s.C, window.TapStep), WordsOf((long)window.R * window.S, row)))
        {
            using var summed = Rent(isUpsampled ? (long)s.K * window.R * window.S * s.C : 1);
            if (isUpsampled)
                SumTaps(filter, s, summed.View);
            var source = isUpsampled ? summed.View : View(filter);
            for (int r = 0; r < Math.Min(window.TapStep, window.R); r++)
            {
                for (int c = 0; c < Math.Min(window.TapStep, window.S); c++)
                {
                    var taps = window with { FirstR = r, FirstS = c };
                    if (Device.Precision == Precision.Bf16)
                        Turn<BFloat16>(source, s, taps, padded, View(copy.Storage).SubView(WordsOf(taps.TapsBefore, row)));
                    else
                        Turn<TensorFloat32>(source, s, taps, padded, View(copy.Storage).SubView(WordsOf(taps.TapsBefore, row)));
                }
            }
        }
        // No tap at all may reach a class; there is nothing behind the last copy then.
        long first = window.TapsH * window.TapsW == 0 ? 0 : WordsOf(window.TapsBefore, row);
        return new Operand(View(copy.Storage).SubView(first), padded, true);
    }

    private bool MayStay(Tensor tensor, int columns)
        => !UsesTiles || (Device.Precision == Precision.Tf32 && IsFourWide(columns, tensor));

    /// <summary>Values of depth in a stage of the tiles.</summary>
    private int StageDepth
        => Device.Precision == Precision.Bf16 ? TileLayout.StageDepth<BFloat16>() : TileLayout.StageDepth<TensorFloat32>();

    /// <summary>Up to whole pieces of 16 bytes.</summary>
    private int PaddedColumns(int columns) => Device.Precision == Precision.Bf16 ? (columns + 7) & ~7 : (columns + 3) & ~3;

    /// <summary>Floats that a copy takes the room of.</summary>
    private long WordsOf(long rows, int padded) => rows * padded / (Device.Precision == Precision.Bf16 ? 2 : 1);

    private void Pack(Tensor tensor, int columns, int padded, ArrayView<float> copy)
    {
        if (IsFourWide(columns, tensor))
            Pack<FourWide>(tensor, columns, padded, copy);
        else
            Pack<OneWide>(tensor, columns, padded, copy);
    }

    private void Pack<TWidth>(Tensor tensor, int columns, int padded, ArrayView<float> copy)
        where TWidth : struct, IAccessWidth
    {
        int rows = checked((int)(tensor.Count / columns));
        Pack(new MatrixSource<TWidth> { Matrix = View(tensor), Rows = rows, Columns = columns }, rows, padded, copy);
    }

    private void Pack<TSource>(TSource source, int rows, int padded, ArrayView<float> copy)
        where TSource : struct, IOperandSource
    {
        if (Device.Precision == Precision.Bf16)
            Pack<BFloat16, TSource>(source, rows, padded, copy);
        else
            Pack<TensorFloat32, TSource>(source, rows, padded, copy);
    }

    private void Pack<TElement, TSource>(TSource source, int rows, int padded, ArrayView<float> copy)
        where TElement : struct, ITileElement
        where TSource : struct, IOperandSource
    {
        int pieces = padded >> TileLayout.PieceShift<TElement>();
        _launcher.ForEach((long)rows * pieces, new PackKernel<TElement, TSource>(source, Divisor.Of(pieces), copy));
    }

    private void Turn<TElement>(ArrayView<float> filter, in Conv2DShape s, in Conv2DGradientWindow window, int padded,
        ArrayView<float> copy)
        where TElement : struct, ITileElement
    {
        int pieces = padded >> TileLayout.PieceShift<TElement>(), taps = window.TapsH * window.TapsW;
        _launcher.ForEach((long)pieces * taps * s.C, new TurnKernel<TElement>(
            filter.SubView(((window.FirstR * window.S) + window.FirstS) * s.C), s.K, window.R * window.S * s.C, Divisor.Of(taps),
            Divisor.Of(window.TapsW), window.TapStep * window.S * s.C, window.TapStep * s.C, Divisor.Of(s.C), pieces, copy));
    }

    /// <summary>Thread = 16 bytes of the copy: four values, or eight rounded to bfloat16; zeros past the source's columns.</summary>
    internal readonly struct PackKernel<TElement, TSource>(TSource source, Divisor pieces, ArrayView<float> copy) : IElementKernel
        where TElement : struct, ITileElement
        where TSource : struct, IOperandSource
    {
        public void Run(int i)
        {
            int row = pieces.Divide(i);
            int column = pieces.Remainder(i, row) << TileLayout.PieceShift<TElement>();
            var low = OperandSource<TSource>.Read(source, 0, row, column);
            if (TElement.ByteShift == 2)
                copy.Cast<F4>()[i] = low;
            else
                copy.Cast<BFloat16Piece>()[i] = BFloat16.Pack(low, OperandSource<TSource>.Read(source, 0, row, column + 4));
        }
    }

    /// <summary>Thread = 16 bytes of [C, taps, K]; neighbours read neighbouring channels of the filter.</summary>
    /// <param name="filter">[K, R, S, C] from the first tap on.</param>
    /// <param name="k">Output channels; zeros follow.</param>
    /// <param name="pitch">Values from one output channel to the next.</param>
    /// <param name="taps">How many.</param>
    /// <param name="tapsW">How many in a row.</param>
    /// <param name="stepH">Values from a tap to the one below.</param>
    /// <param name="stepW">Values from a tap to the next in its row.</param>
    /// <param name="channels">Input channels.</param>
    /// <param name="pieces">16 bytes each, that K takes with its zeros.</param>
    /// <param name="copy">What is written.</param>
    internal readonly struct TurnKernel<TElement>(ArrayView<float> filter, int k, int pitch, Divisor taps, Divisor tapsW, int stepH,
        int stepW, Divisor channels, int pieces, ArrayView<float> copy) : IElementKernel
        where TElement : struct, ITileElement
    {
        public void Run(int i)
        {
            int rest = channels.Divide(i), piece = taps.Divide(rest);
            int channel = channels.Remainder(i, rest), tap = taps.Remainder(rest, piece), row = tapsW.Divide(tap);
            int from = (row * stepH) + (tapsW.Remainder(tap, row) * stepW) + channel;
            int first = piece << TileLayout.PieceShift<TElement>(), at = (((channel * taps.Value) + tap) * pieces) + piece;
            var low = Read(first, from);
            if (TElement.ByteShift == 2)
                copy.Cast<F4>()[at] = low;
            else
                copy.Cast<BFloat16Piece>()[at] = BFloat16.Pack(low, Read(first + 4, from));
        }

        private F4 Read(int index, int from) => new()
        {
            X = ReadOne(index, from),
            Y = ReadOne(index + 1, from),
            Z = ReadOne(index + 2, from),
            W = ReadOne(index + 3, from),
        };

        private float ReadOne(int index, int from) => index < k ? filter[(index * pitch) + from] : 0;
    }

    /// <param name="values">Rows of <paramref name="columns"/> values of the precision's element.</param>
    /// <param name="columns">Length of a row, padding included.</param>
    /// <param name="isFourWide">Whether four neighbours are one 16-byte access.</param>
    /// <param name="copy">What to free when the op is enqueued, or null.</param>
    private readonly struct Operand(ArrayView<float> values, int columns, bool isFourWide, Storage? copy = null) : IDisposable
    {
        public ArrayView<float> Values => values;

        public int Columns => columns;

        public bool IsFourWide => isFourWide;

        public void Dispose() => copy?.Release();
    }

    /// <param name="first">The image, or the one with the first channels.</param>
    /// <param name="second">The one with the channels after them, or empty.</param>
    /// <param name="firstChannels">Channels of the first.</param>
    /// <param name="channels">Of both, padding included.</param>
    /// <param name="isUpsampled">Whether every pixel counts as 2 × 2.</param>
    private readonly struct ImageOperand(Operand first, ArrayView<float> second, int firstChannels, int channels, bool isUpsampled = false)
        : IDisposable
    {
        public ArrayView<float> First => first.Values;

        public ArrayView<float> Second => second;

        public int FirstChannels => firstChannels;

        public int Channels => channels;

        public bool AreJoined => firstChannels < channels;

        public bool IsUpsampled => isUpsampled;

        public bool IsFourWide => first.IsFourWide;

        public void Dispose() => first.Dispose();
    }

    /// <summary>The copies of one tensor of weights, each made when first wanted and again after the values changed.</summary>
    private sealed class PackedWeights : IDisposable
    {
        public PackedCopy Straight { get; } = new();

        public PackedCopy Turned { get; } = new();

        public static PackedWeights Of(Tensor tensor)
        {
            var storage = tensor.Storage;
            if (storage.Derived is not PackedWeights packed)
                storage.Derived = packed = new PackedWeights();
            else if (storage.DerivedVersion != storage.Version)
                packed.Straight.IsCurrent = packed.Turned.IsCurrent = false;
            storage.DerivedVersion = storage.Version;
            return packed;
        }

        public void Dispose()
        {
            Straight.Dispose();
            Turned.Dispose();
        }
    }

    private sealed class PackedCopy : IDisposable
    {
        private Storage? _storage;
        private (int Columns, int TapStep) _layout;

        public Storage Storage => _storage!;

        public bool IsCurrent { private get; set; }

        /// <summary>Whether the values must be copied for this layout; takes for granted that they then are.</summary>
        public bool MustPack(Backend backend, (int Columns, int TapStep) layout, long words)
        {
            if (IsCurrent && _layout == layout && _storage!.Count == words)
                return false;
            if (_storage is null || _storage.Count != words)
            {
                _storage?.Release();
                _storage = backend.Allocate(words);
            }
            _layout = layout;
            return IsCurrent = true;
        }

        public void Dispose() => _storage?.Release();
    }
}
