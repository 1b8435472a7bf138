using Diffusion.Gpu.Kernels.Weights;
using Diffusion.Gpu.WeightConverter.Formats;

namespace Diffusion.Gpu.WeightConverter.Maps;

/// <summary>Reads a U-Net's options off the names and shapes of its weights.</summary>
/// <remarks>What leaves no trace in the weights keeps its default: dropout, the ratio of periods of the time embedding, and whether
/// Fourier frequencies were trained.</remarks>
internal static class UnetInference
{
    /// <summary>The options that a set of weights was trained with.</summary>
    /// <param name="file">The file.</param>
    /// <param name="prefix">What the names of the set begin with.</param>
    /// <exception cref="WeightsException">A tensor is missing that tells an option.</exception>
    public static UnetOptions Infer(WeightFile file, string prefix)
    {
        int[] Shape(string name, int rank) => file.Find(prefix + name) is { } tensor && tensor.Shape.Length == rank && tensor.Count > 0
            ? tensor.Shape
            : throw new WeightsException(file.Path, prefix + name, file.Find(prefix + name) is { } other
                ? $"has shape {other.ShapeText}" : "is missing", $"expected {rank} axes, from which the network's options are read");

        int[] first = Shape("init_conv.weight", 4), last = Shape("final_conv.weight", 4), time = Shape("time_mlp.1.weight", 2);
        bool fourier = file.Find(prefix + "time_mlp.0.weights") is not null;
        int dim = time[0] / 4, stages = 0;
        while (file.Find($"{prefix}downs.{stages}.0.block1.proj.weight") is not null)
            stages++;
        if (stages == 0)
            throw new WeightsException(file.Path, prefix + "downs.0.0.block1.proj.weight", "is missing", "expected a U-Net's first stage");
        var mults = new int[stages];
        var full = new bool[stages];
        var heads = new int[stages];
        var headChannels = new int[stages];
        for (int stage = 0; stage < stages; stage++)
        {
            mults[stage] = Shape($"downs.{stage}.3.{(stage == stages - 1 ? "" : "1.")}weight", 4)[0] / Math.Max(1, dim);
            full[stage] = file.Find($"{prefix}downs.{stage}.2.to_out.weight") is not null;
            int[] memory = Shape($"downs.{stage}.2.mem_kv", 4);
            (heads[stage], headChannels[stage]) = (memory[1], memory[full[stage] ? 3 : 2]);
        }
        var (channels, selfCondition, learnedVariance) = Channels(first[1], last[0]);
        int outputs = channels * (learnedVariance ? 2 : 1);
        return new UnetOptions
        {
            Dim = dim,
            InitDim = first[0] == dim ? null : first[0],
            OutDim = last[0] == outputs ? null : last[0],
            DimMults = mults,
            Channels = channels,
            SelfCondition = selfCondition,
            LearnedVariance = learnedVariance,
            LearnedSinusoidalCond = fourier,
            LearnedSinusoidalDim = fourier ? time[1] - 1 : new UnetOptions().LearnedSinusoidalDim,
            AttnHeads = Shortest(heads),
            AttnDimHead = Shortest(headChannels),
            FullAttn = full.Index().All(stage => stage.Item == (stage.Index == stages - 1)) ? null : Shortest(full),
        };
    }

    /// <summary>Self-condition doubles the inputs and a learned variance the outputs;
    /// of several readings that of an ordinary image.</summary>
    private static (int Channels, bool SelfCondition, bool LearnedVariance) Channels(int inputs, int outputs)
    {
        var readings = new List<(int, bool, bool)>();
        foreach (bool self in (bool[])[false, true])
        {
            foreach (bool learned in (bool[])[false, true])
            {
                int channels = self ? inputs / 2 : inputs;
                if (channels * (self ? 2 : 1) == inputs && channels * (learned ? 2 : 1) == outputs)
                    readings.Add((channels, self, learned));
            }
        }
        foreach (var reading in readings.Where(reading => reading.Item1 is 1 or 3 or 4))
            return reading;
        return readings.Count > 0 ? readings[0] : (inputs, false, false);
    }

    private static StageList<T> Shortest<T>(T[] values)
        where T : struct, IEquatable<T> => values.Distinct().Count() == 1 ? values[0] : values;
}
