namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>A window that goes on by carries comes to the places that divisions give.</summary>
public sealed class PatchWindowTests
{
    private static readonly int[] Depths = [TileLayout.StageDepth<TensorFloat32>(), TileLayout.StageDepth<BFloat16>()];

    /// <summary>Lines and images shorter and longer than a step, and as long; several images; both directions of the taps.</summary>
    private static IEnumerable<PatchWindow> Windows =>
        from image in new[] { (3, 1, 1), (40, 2, 3), (5, 4, 4), (3, 16, 16), (3, 7, 5), (4, 1, 17), (2, 9, 33), (3, 40, 2) }
        from taps in new[] { (1, 1), (3, 3), (1, 7), (2, 5) }
        from channels in new[] { 4, 8, 12, 16, 36, 64, 72 }
        from stride in new[] { 1, 2 }
        from step in new[] { 1, -1 }
        select new PatchWindow
        {
            ImageH = (image.Item2 * stride) + 1,
            ImageW = (image.Item3 * stride) + 2,
            Channels = Divisor.Of(channels),
            TapsW = Divisor.Of(taps.Item2),
            Columns = taps.Item1 * taps.Item2 * channels,
            Rows = image.Item1 * image.Item2 * image.Item3,
            PositionsH = Divisor.Of(image.Item2),
            PositionsW = Divisor.Of(image.Item3),
            Stride = stride,
            OriginH = step * -(taps.Item1 / 2),
            OriginW = step * -(taps.Item2 / 2),
            Step = step,
        };

    [Test]
    public void Rows_go_on_by_carries()
    {
        foreach (var window in Windows.Select(window => window.Stepping(TileLayout.StageDepth<TensorFloat32>())))
        {
            for (int row = 0; row + TileLayout.RowsOfPass < window.Rows; row++)
                Assert.That(window.NextRow(window.Row(row)), Is.EqualTo(window.Row(row + TileLayout.RowsOfPass)), Describe(window, row));
        }
    }

    [TestCaseSource(nameof(Depths))]
    public void Columns_go_on_by_carries(int depth)
    {
        foreach (var window in Windows.Select(window => window.Stepping(depth)))
        {
            for (int column = 0; column + depth < window.Columns; column++)
                Assert.That(window.NextColumn(window.Column(column)), Is.EqualTo(window.Column(column + depth)), Describe(window, column));
        }
    }

    /// <summary>The image row that an upsampled pixel's image begins at in the small image is part of its place.</summary>
    [Test]
    public void Rows_of_upsampled_images_go_on_by_carries()
    {
        foreach (var window in Windows.Where(window => window.Stride == 1))
        {
            var even = window with { ImageH = 2 * window.PositionsH.Value, ImageW = 2 * window.PositionsW.Value };
            even.PositionsH = Divisor.Of(even.ImageH);
            even.PositionsW = Divisor.Of(even.ImageW);
            even.Rows *= 4;
            var source = UpsampledPatchSource<FourWide>.Of(even.Stepping(16), default);
            for (int row = 0; row + TileLayout.RowsOfPass < even.Rows; row++)
            {
                Assert.That(source.NextRow(source.Row(0, row), TileLayout.RowsOfPass),
                    Is.EqualTo(source.Row(0, row + TileLayout.RowsOfPass)), Describe(even, row));
            }
        }
    }

    private static string Describe(in PatchWindow w, int index)
        => $"{index} of {w.PositionsH.Value}x{w.PositionsW.Value} positions, {w.TapsW.Value} taps a row, {w.Channels.Value} channels";
}
