using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Where a matrix product goes: to the portable tile in 32 bits, to tensor cores in TF32 or BF16.</summary>
internal sealed partial class GpuBackend
{
    /// <summary>A tile for every product on tensor cores, or null to choose: what tests and comparisons set.</summary>
    internal TileSize? OnlyTile { get; set; }

    /// <summary>Whether products go to tensor cores, for which <see cref="Stage(Tensor, int)"/> makes operands ready.</summary>
    private bool UsesTiles => Device.Precision != Precision.Float32;

    /// <summary>Whether a warpgroup's tiles run here, on the device's instructions or emulated. Only a tuning run on a device that has the
    /// instructions chooses them.</summary>
    internal bool CanUseWarpgroups => _hasWarpgroups || !_hasTensorCores;

    /// <summary>The tile that is counted for a product of these extents.</summary>
    private TileSize TileFor(int lines, int columns, int slices)
        => !UsesTiles ? TileSize.Portable : OnlyTile ?? TileChoice.For(lines, columns, slices);

    /// <param name="left">Whose lines are the result's.</param>
    /// <param name="right">Whose lines are the result's columns.</param>
    /// <param name="result">Where sums go.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="tile">The tile of a result that not every tile can write, or null to choose. Its sums are whole.</param>
    private void Multiply<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(TLeft left, TRight right, TResult result, GemmShape shape,
        TileSize? tile = null)
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        if (shape.SliceStep > 0)
            MultiplyParts<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(left, right, result, shape);
        else
            MultiplyWhole<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(left, right, result, shape, tile);
    }

    private void MultiplyWhole<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(TLeft left, TRight right, TResult result, GemmShape shape,
        TileSize? tile = null)
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        var arguments = new GemmArguments<TLeft, TRight, TResult> { Left = left, Right = right, Result = result, Shape = shape };
        MultiplyBy<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments,
            Select<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, tile));
    }

    private void MultiplyBy<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(GemmArguments<TLeft, TRight, TResult> arguments, TileSize tile)
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        var shape = arguments.Shape;
        var groups = new Index3D(checked((int)(tile.Count(shape.Lines, shape.Columns) * shape.Slices)), 1, 1);
        if (tile == TileSize.Portable)
        {
            _launcher.Launch(ImplicitGemm.Multiply<TLeft, TLeftOrder, TRight, TRightOrder, TResult>, arguments, groups,
                ImplicitGemm.Threads);
        }
        else if (Device.Precision == Precision.Bf16)
            MultiplyTiles<BFloat16, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups, tile);
        else
            MultiplyTiles<TensorFloat32, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups, tile);
    }

    private void MultiplyTiles<TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
        GemmArguments<TLeft, TRight, TResult> arguments, Index3D groups, TileSize tile)
        where TElement : struct, ITileElement
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        bool byWarpgroup = tile.IsWarpgroup && CanUseWarpgroups
            && WarpgroupDescriptor.Reads<TLeftOrder, TRightOrder>(Device.Precision);
        bool isWide = tile.ColumnShift == TileSize.Of<Tile128x128>().ColumnShift;
        if (byWarpgroup && isWide)
            MultiplyByWarpgroup<Tile128x128, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups);
        else if (byWarpgroup)
            MultiplyByWarpgroup<Tile128x64, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups);
        else if (isWide)
            MultiplyTiles<Tile128x128, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups);
        else if (tile.LineShift == TileSize.Of<Tile128x64>().LineShift)
            MultiplyTiles<Tile128x64, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups);
        else
            MultiplyTiles<Tile64x64, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups);
    }

    private void MultiplyTiles<TShape, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
        GemmArguments<TLeft, TRight, TResult> arguments, Index3D groups)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        if (_hasTensorCores)
            LaunchTiles<CudaTile<TShape, TElement>, TShape, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, groups);
        else
        {
            LaunchTiles<EmulatedTile<TShape, TElement>, TShape, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
                arguments, groups);
        }
    }

    private void MultiplyByWarpgroup<TShape, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
        GemmArguments<TLeft, TRight, TResult> arguments, Index3D groups)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        if (_hasTensorCores)
        {
            LaunchTiles<WarpgroupTile<TShape, TElement>, TShape, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
                arguments, groups);
        }
        else
        {
            LaunchTiles<EmulatedWarpgroupTile<TShape, TElement>, TShape, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
                arguments, groups);
        }
    }

    /// <summary>Tensor cores take the memory that the launch names, emulations reserve theirs.</summary>
    private void LaunchTiles<TTile, TShape, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>(
        GemmArguments<TLeft, TRight, TResult> arguments, Index3D groups)
        where TTile : struct, ITile
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
        => _launcher.Launch(TileGemm.Multiply<TTile, TShape, TElement, TLeft, TLeftOrder, TRight, TRightOrder, TResult>, arguments, groups,
            TileLayout.Threads, _hasTensorCores ? TShape.LeastGroups : null, _hasTensorCores ? TileShape<TShape>.SharedBytes : 0);
}
