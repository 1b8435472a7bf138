using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Where a matrix product goes: to the portable tile in 32 bits, to tensor cores in TF32.</summary>
internal sealed partial class GpuBackend
{
    /// <summary>A tile for every product whose operands are four wide, or null to choose: what tests and comparisons set.</summary>
    internal TileSize? OnlyTile { get; set; }

    /// <summary>The tile that a product of these extents gets.</summary>
    private TileSize TileFor<TLeft, TRight>(int lines, int columns, long parts)
        where TLeft : struct, IOperandSource
        where TRight : struct, IOperandSource
        => Device.Precision == Precision.Float32 ? TileSize.Portable
            : OnlyTile is { } only && TLeft.IsFour && TRight.IsFour ? only
            : TileChoice.For(lines, columns, parts, TLeft.IsFour && TRight.IsFour);

    private void Multiply<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(TLeft left, TRight right, TResult result,
        GemmShape shape, TileSize? choice = null)
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        var arguments = new GemmArguments<TLeft, TRight, TResult> { Left = left, Right = right, Result = result, Shape = shape };
        var tile = choice ?? TileFor<TLeft, TRight>(shape.Lines, shape.Columns, shape.Slices);
        var groups = new Index3D(checked((int)(tile.Count(shape.Lines, shape.Columns) * shape.Slices)), 1, 1);
        if (tile == TileSize.Portable)
        {
            _launcher.Launch(ImplicitGemm.Multiply<TLeft, TLeftOrder, TRight, TRightOrder, TResult>, arguments, groups,
                ImplicitGemm.Threads);
        }
        else if (tile == TileSize.Of<Tile128x128>())
            MultiplyTiles<Tile128x128, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups);
        else if (tile == TileSize.Of<Tile128x64>())
            MultiplyTiles<Tile128x64, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups);
        else
            MultiplyTiles<Tile64x64, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups);
    }

    private void MultiplyTiles<TShape, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
        GemmArguments<TLeft, TRight, TResult> arguments, Index3D groups)
        where TShape : struct, ITileShape
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        if (_hasTensorCores)
        {
            _launcher.Launch(TileGemm.Multiply<CudaTile<TShape>, TShape, TLeft, TLeftOrder, TRight, TRightOrder, TResult>, arguments,
                groups, TileShape<TShape>.Threads, TileShape<TShape>.LeastGroups, TileShape<TShape>.SharedBytes);
        }
        else
        {
            _launcher.Launch(TileGemm.Multiply<EmulatedTile<TShape>, TShape, TLeft, TLeftOrder, TRight, TRightOrder, TResult>, arguments,
                groups, TileShape<TShape>.Threads);
        }
    }
}
