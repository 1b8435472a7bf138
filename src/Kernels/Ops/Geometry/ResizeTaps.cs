namespace Diffusion.Gpu.Kernels;

/// <summary>How an image is brought to another size.</summary>
public enum ResizeMode
{
    /// <summary>Two nearest pixels per axis, half-pixel centres (PyTorch's interpolate, align_corners=False).</summary>
    Bilinear,

    /// <summary>Triangle filter widened by the reduction (PyTorch's antialias=True).</summary>
    BilinearAntialias,

    /// <summary>The pixel at floor(out · in / size).</summary>
    Nearest,

    /// <summary>TensorFlow 1's bilinear: source = out · in / size, without half-pixel shift.</summary>
    BilinearTensorFlow1,
}

/// <summary>
/// One axis of a separable linear resize: output i is the sum over t of Weights[i · Width + t] · input[Starts[i] + t].
/// </summary>
/// <remarks>Entries past Counts[i] have weight zero and must not be read: they may lie outside the input.</remarks>
internal sealed class ResizeTaps
{
    private ResizeTaps(int inputs, int[] starts, int[] counts, float[] weights, int width)
    {
        Inputs = inputs;
        Starts = starts;
        Counts = counts;
        Weights = weights;
        Width = width;
    }

    public int Inputs { get; }

    public int Outputs => Starts.Length;

    public int[] Starts { get; }

    public int[] Counts { get; }

    public float[] Weights { get; }

    /// <summary>Room for taps per output.</summary>
    public int Width { get; }

    public static ResizeTaps Create(int inputs, int outputs, ResizeMode mode)
    {
        var rows = new List<(int Start, double[] Weights)>(outputs);
        double scale = (double)inputs / outputs;
        for (int i = 0; i < outputs; i++)
            rows.Add(mode switch
            {
                ResizeMode.Nearest => ((int)Math.Min(Math.Floor(i * scale), inputs - 1), [1.0]),
                ResizeMode.BilinearAntialias => Triangle(i, scale, inputs),
                ResizeMode.Bilinear => Pair(Math.Max((i + 0.5) * scale - 0.5, 0), inputs),
                ResizeMode.BilinearTensorFlow1 => Pair((float)i * (float)scale, inputs),
                _ => throw new ArgumentOutOfRangeException(nameof(mode), mode, "unknown resize mode"),
            });
        return FromRows(inputs, rows);
    }

    /// <summary>The taps of the gradient: which outputs each input reached.</summary>
    public ResizeTaps Transpose()
    {
        var rows = new List<(int Start, double[] Weights)>(Inputs);
        for (int input = 0; input < Inputs; input++)
        {
            int first = -1;
            var weights = new List<double>();
            for (int i = 0; i < Outputs; i++)
            {
                int t = input - Starts[i];
                bool reached = t >= 0 && t < Counts[i];
                if (reached && first < 0)
                    first = i;
                if (first >= 0)
                    weights.Add(reached ? Weights[(i * Width) + t] : 0);
            }
            rows.Add((Math.Max(first, 0), weights.ToArray()));
        }
        return FromRows(Outputs, rows);
    }

    private static (int Start, double[] Weights) Pair(double source, int inputs)
    {
        int low = Math.Min((int)source, inputs - 1);
        double fraction = source - low;
        return low == inputs - 1 ? (low, [1.0]) : (low, [1 - fraction, fraction]);
    }

    private static (int Start, double[] Weights) Triangle(int i, double scale, int inputs)
    {
        double support = Math.Max(scale, 1);
        double centre = (i + 0.5) * scale;
        int first = Math.Max((int)(centre - support + 0.5), 0);
        int end = Math.Min((int)(centre + support + 0.5), inputs);
        var weights = new double[end - first];
        for (int t = 0; t < weights.Length; t++)
            weights[t] = Math.Max(0, 1 - Math.Abs((first + t - centre + 0.5) / support));
        double sum = weights.Sum();
        return (first, Array.ConvertAll(weights, w => w / sum));
    }

    private static ResizeTaps FromRows(int inputs, List<(int Start, double[] Weights)> rows)
    {
        int width = Math.Max(1, rows.Max(r => r.Weights.Length));
        var flat = new float[rows.Count * width];
        for (int i = 0; i < rows.Count; i++)
            for (int t = 0; t < rows[i].Weights.Length; t++)
                flat[(i * width) + t] = (float)rows[i].Weights[t];
        return new ResizeTaps(inputs, [.. rows.Select(r => r.Start)], [.. rows.Select(r => r.Weights.Length)], flat, width);
    }
}
