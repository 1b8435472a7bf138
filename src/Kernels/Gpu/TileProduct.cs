using System.Reflection;
using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>A matrix product as tiles see it; what a measured choice of tile is kept under.</summary>
/// <param name="Precision">Of the operands.</param>
/// <param name="Kind">The operands' sources and orders, and the result.</param>
/// <param name="Lines">Rows of the result.</param>
/// <param name="Columns">Columns of the result.</param>
/// <param name="Depth">Terms of each sum.</param>
/// <param name="Slices">Products side by side.</param>
internal readonly record struct TileProduct(Precision Precision, string Kind, int Lines, int Columns, int Depth, int Slices);

/// <summary>The names of products, made once for each kind.</summary>
internal static class TileProductKind<TLeft, TLeftOrder, TRight, TRightOrder, TResult>
{
    public static readonly string Name = string.Join(' ',
        new[] { typeof(TLeft), typeof(TLeftOrder), typeof(TRight), typeof(TRightOrder), typeof(TResult) }
            .Select(type => type.Name.Split('`')[0]));
}

/// <summary>A product as it is launched.</summary>
/// <param name="Product">Which.</param>
/// <param name="Tile">By which tile.</param>
/// <param name="Split">Whether the slices are parts of one sum, not products of their own.</param>
/// <param name="OperandBytes">Memory that the operands lie in: an image, not its patches.</param>
internal readonly record struct TileLaunch(TileProduct Product, TileSize Tile, bool Split, long OperandBytes)
{
    /// <summary>"forward", "input gradient", "filter gradient" or "matrix product".</summary>
    public string Pass { get; init; } = "";

    /// <summary>Of a convolution its filter, or the filter's gradient: what tells layers apart.</summary>
    public Tensor? Weights { get; init; }

    /// <summary>Bytes of all the views of two operands, each counted once. By reflection: for lists only.</summary>
    public static long BytesOf(object left, object right) => Views(left).Concat(Views(right)).Distinct().Sum(view => view.LengthInBytes);

    private static IEnumerable<IArrayView> Views(object source)
        => source.GetType().GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).SelectMany(field
            => field.GetValue(source) switch
            {
                IArrayView view => [view],
                { } nested when field.FieldType is { IsPrimitive: false } type && type.Assembly == typeof(TileLaunch).Assembly
                    => Views(nested),
                _ => Enumerable.Empty<IArrayView>(),
            });
}
