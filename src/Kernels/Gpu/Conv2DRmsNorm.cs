using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>A convolution that normalises its output's pixels while they lie in a tile.</summary>
internal sealed partial class GpuBackend
{
    public override void Conv2DRmsNormSilu(in Conv2DShape s, in Conv2DInput x, Tensor filter, Tensor? bias, Tensor gain,
        Tensor? scaleShift, Tensor? convolved, Tensor y)
    {
        if (!NormalisesInTile(s, out var tile) || !IsFourWide(s.K, bias, gain, scaleShift, convolved, y))
        {
            base.Conv2DRmsNormSilu(s, x, filter, bias, gain, scaleShift, convolved, y);
            return;
        }
        Enter("forward", filter);
        using var images = Stage(s, x);
        using var weights = StageWeights(filter, s.C);
        var rows = new RowShape(s.N, s.OutH * s.OutW, s.K);
        Conv2DForwardImplicitGemm<FourWide, RmsNormResult>(s with { C = images.Channels }, images, weights,
            new RmsNormResult
            {
                Norm = new LineNorm
                {
                    Bias = ViewOrEmpty(bias),
                    HasBias = bias is null ? 0 : 1,
                    ColumnFours = s.K / 4,
                    LaneFours = RowReduction.For(rows.Rows, s.K).Lanes / 4,
                    After = After(rows, gain, scaleShift, silu: true),
                },
                Values = View(y),
                Convolved = ViewOrEmpty(convolved),
                HasConvolved = convolved is null ? 0 : 1,
                Lines = rows.Rows,
                Columns = s.K,
                Positions = Divisor.Of(rows.P),
            },
            tile);
    }

    /// <summary>Whether the norm after a convolution is part of it, or a kernel of its own.</summary>
    /// <param name="s">The convolution.</param>
    /// <param name="tile">The tile that must multiply, or null where any may.</param>
    /// <remarks>
    /// <para>Part of it saves a pass that reads and a pass that writes all pixels: of 12 bytes a value 4 are left, or 8 where the
    /// convolution's output is kept. A line's sums must be whole and in one tile. No other tile than the fastest is taken for that: at 128
    /// columns and few pixels, tiles of 128 columns leave most of a device idle, which costs more than the bytes.</para>
    /// <para>Wider lines could have their squares summed tile by tile, for the norm's kernel to read. It reads a row from memory once
    /// as it is, for the second time from the cache: the sums would save none of its 8 bytes a value and add 8 for every 128 values, and
    /// their order would depend on the tile.</para>
    /// <para>In 32 bits it stays apart: the portable tile is bound by its arithmetic, not by memory.</para>
    /// </remarks>
    private bool NormalisesInTile(in Conv2DShape s, out TileSize? tile)
    {
        tile = null;
        if (!UsesTiles || s.K > LineNorm.MostColumns || IsSplit(s))
            return false;
        if (s.K <= 1 << TileChoice.All.Min(candidate => candidate.ColumnShift))
            return true;
        tile = TileFor(s.Pixels, s.K, 1);
        return s.K <= 1 << tile.Value.ColumnShift;
    }
}

/// <summary>RMSNorm of the lines of a product: what is done before it, and what it counts.</summary>
internal struct LineNorm
{
    /// <summary>Squares are added as by 32 lanes of <see cref="RowReduction"/>, of which one thread takes eight.</summary>
    public const int MostColumns = 128;

    /// <summary>[Columns], read where <see cref="HasBias"/> is 1.</summary>
    public ArrayView<float> Bias;

    public int HasBias;

    /// <summary>Columns of the product, in fours.</summary>
    public int ColumnFours;

    /// <summary>Lanes that add up a row in <see cref="GpuBackend.RmsNormForward(GpuBackend.RmsNormForwardArgs)"/>, in fours: the tile adds
    /// in the same order, so that results do not depend on which of them normalises.</summary>
    public int LaneFours;

    public GpuBackend.RmsNormAfter After;

    /// <summary>What is normalised, from four sums.</summary>
    public readonly F4 Biased(int column, F4 sums) => HasBias != 0 ? F4.Add(sums, Bias.Cast<F4>()[column >> 2]) : sums;
}

/// <summary>The output of a convolution, normalised: bias, RMSNorm, modulation, SiLU; and the same before the norm where a gradient will
/// need it. Columns are a multiple of four.</summary>
internal struct RmsNormResult : IResult
{
    public ArrayView<float> Values;

    /// <summary>Written where <see cref="HasConvolved"/> is 1.</summary>
    public ArrayView<float> Convolved;

    public int HasConvolved;
    public int Lines;
    public int Columns;

    /// <summary>Lines of a sample.</summary>
    public Divisor Positions;

    public static bool NormalisesLines => true;

    public LineNorm Norm { readonly get; set; }

    public readonly void Write(int slice, int line, int column, F4 sums, float factor)
    {
        if (line >= Lines || column >= Columns)
            return;
        int four = ((line * Columns) + column) >> 2;
        var values = Norm.Biased(column, sums);
        if (HasConvolved != 0)
            Convolved.Cast<F4>()[four] = values;
        Values.Cast<F4>()[four] = Norm.After.ApplyFour(Positions.Divide(line), column, F4.Scale(values, factor));
    }
}
