using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>A GPU's peak figures.</summary>
/// <param name="Name">The maker's.</param>
/// <param name="Multiprocessors">That run groups side by side.</param>
/// <param name="Tf32">Operations a second on dense TF32 matrices.</param>
/// <param name="Bf16">The same in BF16 with sums of 32 bits.</param>
/// <param name="Bandwidth">Bytes of memory a second.</param>
internal sealed record GpuRoof(string Name, int Multiprocessors, double Tf32, double Bf16, double Bandwidth)
{
    /// <remarks>NVIDIA H200 Tensor Core GPU data sheet (SXM): 989 TFLOPS in TF32 and 1,979 in BF16 are with sparsity, half of it without;
    /// 4.8 TB/s. H100 whitepaper: 132 multiprocessors of the SXM5 board.</remarks>
    public static GpuRoof H200 { get; } = new("H200", 132, 494.5e12, 989.5e12, 4.8e12);

    /// <remarks>NVIDIA Ada GPU Architecture whitepaper, appendix A, GeForce RTX 4090: 82.6 and 165.2 dense TFLOPS (BF16 with FP32
    /// accumulate),
    /// 1,008 GB/s, 128 multiprocessors.</remarks>
    public static GpuRoof Rtx4090 { get; } = new("RTX 4090", 128, 82.6e12, 165.2e12, 1.008e12);
}

/// <summary>What a product costs by count: no measurement.</summary>
/// <param name="Launch">The product and its tile.</param>
/// <param name="ElementBytes">Of an operand's value: 4 in TF32, 2 in BF16.</param>
internal sealed record ProductCost(TileLaunch Launch, int ElementBytes)
{
    private TileProduct Product => Launch.Product;

    /// <summary>Multiplications and additions.</summary>
    public double Flop => 2.0 * Product.Lines * Product.Columns * Product.Depth * (Launch.Split ? 1 : Product.Slices);

    /// <summary>Bytes that must move once: operands in, result out.</summary>
    public double LeastBytes => Launch.OperandBytes + ResultBytes;

    /// <summary>Bytes that tiles read and write: the left operand once for each column of tiles, the right one once for each
    /// line. Parts of a sum are written and read again.</summary>
    public double MovedBytes => (Groups * Stages * TileLayout.LineBytes
        * ((1 << Launch.Tile.LineShift) + (1 << Launch.Tile.ColumnShift))) + (2 * PartBytes) + ResultBytes;

    /// <summary>Tiles of all slices.</summary>
    public double Groups => (double)Launch.Tile.Count(Product.Lines, Product.Columns) * Product.Slices;

    private double ResultBytes => (double)sizeof(float) * Product.Lines * Product.Columns * (Launch.Split ? 1 : Product.Slices);

    /// <summary>Columns of a part are whole fours.</summary>
    private double PartBytes => Launch.Split ? (double)sizeof(float) * Product.Lines * ((Product.Columns + 3) & ~3) * Product.Slices : 0;

    /// <summary>Stages that one tile passes, the last one filled up.</summary>
    private double Stages => Math.Ceiling(
        (double)(Launch.Split ? Math.Min(Product.Depth, DepthSplit.DepthOfPart(Product.Depth, Product.Slices)) : Product.Depth)
        / StageDepth);

    /// <summary>Values of depth in a stage.</summary>
    private int StageDepth => TileLayout.LineBytes / ElementBytes;

    /// <summary>How often a device's multiprocessors are filled, each with as many groups as it holds.</summary>
    public double Waves(GpuRoof roof, int groupsOfMultiprocessor) => Math.Ceiling(Groups / (roof.Multiprocessors * groupsOfMultiprocessor));

    /// <summary>Seconds below which the product cannot run: what the busiest multiprocessor multiplies, whole tiles at peak speed, or
    /// memory, which takes operands and the result, or its parts.</summary>
    public double Seconds(GpuRoof roof)
    {
        double flopOfGroup = 2.0 * Stages * StageDepth * (1 << Launch.Tile.LineShift) * (1 << Launch.Tile.ColumnShift);
        double flop = Math.Ceiling(Groups / roof.Multiprocessors) * roof.Multiprocessors * flopOfGroup;
        return Math.Max(flop / Peak(roof), (Launch.OperandBytes + (Launch.Split ? PartBytes : ResultBytes)) / roof.Bandwidth);
    }

    /// <summary>Seconds below which the parts of sums cannot be added: memory.</summary>
    public double SumSeconds(GpuRoof roof) => Launch.Split ? (PartBytes + ResultBytes) / roof.Bandwidth : 0;

    /// <summary>Seconds below which no kernel can do it: operations at peak, or bytes that must move.</summary>
    public double FloorSeconds(GpuRoof roof) => Math.Max(Flop / Peak(roof), LeastBytes / roof.Bandwidth);

    private double Peak(GpuRoof roof) => ElementBytes == sizeof(float) ? roof.Tf32 : roof.Bf16;
}
