namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Joining channels.</summary>
    public static IEnumerable<OpCase> Concat =>
    [
        Joined([1], 1, 1, tiny: true),
        Joined([2, 5, 3], 3, 5, tiny: true),
        Joined([7, 5], 17, 1),
        Joined([1, 9, 11], 1, 33),
        Joined([3, 5], 64, 65),
    ];

    private static OpCase Joined(int[] rows, int columnsA, int columnsB, bool tiny = false)
    {
        int columns = columnsA + columnsB, count = rows.Aggregate(columns, (product, extent) => product * extent);
        Shape a = Shape.Create([.. rows, columnsA]), b = Shape.Create([.. rows, columnsB]);
        return new OpCase($"Concat {a} and {b}", [Input("a", a), Input("b", b)], (tape, t) => tape.Concat(t[0], t[1]), v => Each(count, i =>
        {
            int row = i / columns, column = i % columns;
            return column < columnsA ? v[0][(row * columnsA) + column] : v[1][(row * columnsB) + column - columnsA];
        })) { Tolerance = 0, Tiny = tiny };
    }
}
