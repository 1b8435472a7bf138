using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Factors of the lines that <see cref="TileGemm"/> has in shared memory, behind their sums: 64 bytes a line.</summary>
/// <remarks>Four threads a line add squares, one thread a line adds their parts. Two barriers, no shuffles.</remarks>
internal static class TileLines
{
    private const int Parts = TileLayout.Threads / TileLayout.SpilledLines;

    /// <summary>Computes the factors. The sums must be visible to the group, which all takes part; the factors then are.</summary>
    /// <param name="shared">Lines of sums from its beginning on.</param>
    /// <param name="norm">Of the result.</param>
    /// <param name="pitch">Floats from a line to the next.</param>
    public static void Measure<TElement>(ArrayView<F4> shared, LineNorm norm, int pitch)
        where TElement : struct, ITileElement
    {
        // Eight threads that read at a time have lines two apart, which lie in other banks.
        int part = Group.IdxX & (Parts - 1), place = Group.IdxX >> 2;
        int line = ((place & 15) << 1) + (place >> 4), start = line * (pitch >> 2);
        var low = Squares<TElement>(shared, norm, start, part);
        shared[Place(pitch, line) + part] = F4.Add(low, Squares<TElement>(shared, norm, start, part + Parts));
        Group.Barrier();
        if (Group.IdxX < TileLayout.SpilledLines)
        {
            int parts = Place(pitch, Group.IdxX);
            var sum = F4.Add(F4.Add(shared[parts], shared[parts + 2]), F4.Add(shared[parts + 1], shared[parts + 3]));
            shared.Cast<float>()[parts << 2] = norm.After.Factor((sum.X + sum.Z) + (sum.Y + sum.W));
        }
        Group.Barrier();
    }

    /// <summary>What a line is multiplied by.</summary>
    public static float Factor(ArrayView<F4> shared, int pitch, int line) => shared.Cast<float>()[Place(pitch, line) << 2];

    /// <summary>Four lanes' sums of squares.</summary>
    private static F4 Squares<TElement>(ArrayView<F4> shared, LineNorm norm, int start, int fourth)
        where TElement : struct, ITileElement
    {
        F4 sum = default;
        for (int four = fourth; fourth < norm.LaneFours && four < norm.ColumnFours; four += norm.LaneFours)
        {
            var value = norm.Biased(four << 2, F4.Scale(shared[start + four], TElement.Correction));
            sum.X += value.X * value.X;
            sum.Y += value.Y * value.Y;
            sum.Z += value.Z * value.Z;
            sum.W += value.W * value.W;
        }
        return sum;
    }

    private static int Place(int pitch, int line) => (TileLayout.SpilledLines * (pitch >> 2)) + (line << 2);
}
