using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Memory that the benchmarked method must read and write once, in the benchmark's own unit of tensors.</summary>
/// <param name="tensors">Tensors of the benchmark's size.</param>
[AttributeUsage(AttributeTargets.Method)]
public sealed class MovesAttribute(double tensors) : Attribute
{
    /// <summary>Tensors of the benchmark's size.</summary>
    public double Tensors { get; } = tensors;
}

/// <summary>Shows the memory that must be moved over the mean time, in GB/s.</summary>
/// <param name="bytesOfTensor">Bytes of one tensor of a benchmark case.</param>
public sealed class ThroughputColumn(Func<BenchmarkCase, double> bytesOfTensor) : IColumn
{
    /// <inheritdoc/>
    public string Id => nameof(ThroughputColumn);

    /// <inheritdoc/>
    public string ColumnName => "GB/s";

    /// <inheritdoc/>
    public bool AlwaysShow => true;

    /// <inheritdoc/>
    public ColumnCategory Category => ColumnCategory.Custom;

    /// <inheritdoc/>
    public int PriorityInCategory => 0;

    /// <inheritdoc/>
    public bool IsNumeric => true;

    /// <inheritdoc/>
    public UnitType UnitType => UnitType.Dimensionless;

    /// <inheritdoc/>
    public string Legend => "Bytes that must be read and written once, over the mean time";

    /// <inheritdoc/>
    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        ArgumentNullException.ThrowIfNull(summary);
        ArgumentNullException.ThrowIfNull(benchmarkCase);
        var moves = (MovesAttribute?)Attribute.GetCustomAttribute(benchmarkCase.Descriptor.WorkloadMethod, typeof(MovesAttribute));
        double? nanoseconds = summary[benchmarkCase]?.ResultStatistics?.Mean;
        return moves is null || nanoseconds is null
            ? "?"
            : (moves.Tensors * bytesOfTensor(benchmarkCase) / nanoseconds.Value).ToString("F1", CultureInfo.InvariantCulture);
    }

    /// <inheritdoc/>
    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    /// <inheritdoc/>
    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    /// <inheritdoc/>
    public bool IsAvailable(Summary summary) => true;
}
