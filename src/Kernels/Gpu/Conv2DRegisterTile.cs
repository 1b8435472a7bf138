using System.Numerics;

namespace Diffusion.Gpu.Kernels;

/// <summary>Four neighbouring floats: one 16-byte access.</summary>
internal struct F4
{
    public float X, Y, Z, W;

    /// <summary>All four equal.</summary>
    public static F4 Of(float value) => new() { X = value, Y = value, Z = value, W = value };

    public static F4 Add(F4 a, F4 b) => new() { X = a.X + b.X, Y = a.Y + b.Y, Z = a.Z + b.Z, W = a.W + b.W };

    public static F4 Multiply(F4 a, F4 b) => new() { X = a.X * b.X, Y = a.Y * b.Y, Z = a.Z * b.Z, W = a.W * b.W };

    public static F4 Scale(F4 a, float factor) => new() { X = a.X * factor, Y = a.Y * factor, Z = a.Z * factor, W = a.W * factor };
}

/// <summary>Eight floats of one row of a register tile: columns c..c+3 and c+32..c+35.</summary>
internal struct F8
{
    public F4 Low, High;
}

/// <summary>
/// The 4×4 sums of one thread. Fields, not an array: the compiler keeps an array that is indexed by a variable in memory.
/// </summary>
internal struct Tile4x4
{
    public F4 R0, R1, R2, R3;

    /// <summary>Adds the outer product of four rows and four columns.</summary>
    public static void AddProduct(ref Tile4x4 sum, in F4 rows, in F4 columns)
    {
        AddRow(ref sum.R0, rows.X, columns);
        AddRow(ref sum.R1, rows.Y, columns);
        AddRow(ref sum.R2, rows.Z, columns);
        AddRow(ref sum.R3, rows.W, columns);
    }

    public static void AddRow(ref F4 sum, float row, in F4 columns)
    {
        sum.X += row * columns.X;
        sum.Y += row * columns.Y;
        sum.Z += row * columns.Z;
        sum.W += row * columns.W;
    }
}

/// <summary>The 8×8 sums of one thread: rows r..r+3 and r+32..r+35 of the same columns as <see cref="F8"/>.</summary>
internal struct Tile8x8
{
    public F8 R0, R1, R2, R3, R4, R5, R6, R7;

    /// <summary>Adds the outer product of eight rows and eight columns.</summary>
    public static void AddProduct(ref Tile8x8 sum, in F8 rows, in F8 columns)
    {
        AddRow(ref sum.R0, rows.Low.X, columns);
        AddRow(ref sum.R1, rows.Low.Y, columns);
        AddRow(ref sum.R2, rows.Low.Z, columns);
        AddRow(ref sum.R3, rows.Low.W, columns);
        AddRow(ref sum.R4, rows.High.X, columns);
        AddRow(ref sum.R5, rows.High.Y, columns);
        AddRow(ref sum.R6, rows.High.Z, columns);
        AddRow(ref sum.R7, rows.High.W, columns);
    }

    private static void AddRow(ref F8 sum, float row, in F8 columns)
    {
        Tile4x4.AddRow(ref sum.Low, row, columns.Low);
        Tile4x4.AddRow(ref sum.High, row, columns.High);
    }
}

/// <summary>Division of a non-negative int by a number known at launch: one multiplication and one shift instead of some twenty
/// instructions.</summary>
/// <remarks>With the multiplier m = ⌊(2^(32 + s) − 1) / d⌋ and s = ⌊log2 d⌋, (n + 1)·m / 2^(32 + s) falls short of (n + 1) / d by less
/// than 1 / d for every n below 2^31, so its whole part is that of n / d (Robison, "N-bit unsigned division via N-bit multiply-add",
/// 2005).</remarks>
internal struct Divisor
{
    public int Value;
    public uint Multiplier;
    public int Shift;

    private int _negative;

    public static Divisor Of(int value)
    {
        int shift = BitOperations.Log2((uint)value);
        return new Divisor
        {
            Value = value,
            Shift = shift,
            Multiplier = (uint)(((1UL << (32 + shift)) - 1) / (ulong)value),
            _negative = -value,
        };
    }

    public readonly int Divide(int dividend)
        => (int)((uint)((((ulong)(uint)dividend * Multiplier) + Multiplier) >> 32) >> Shift);

    public readonly int Remainder(int dividend, int quotient) => dividend + (quotient * _negative);
}
