namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>One step of the optimiser: value and both moments, clipped and not.</summary>
    public static IEnumerable<OpCase> Adam =>
    [
        .. AdamResults("one value", 1, float.PositiveInfinity, tiny: true),
        .. AdamResults("odd", 129, float.PositiveInfinity),
        .. AdamResults("clipped", 1025, 1),
        .. AdamResults("norm below the limit", 65, 1e6f),
    ];

    private static IEnumerable<OpCase> AdamResults(string name, int count, float maxNorm, bool tiny = false)
    {
        var step = new AdamStep(0.1f, 0.9f, 0.99f, 1e-8f, 1 - MathF.Pow(0.9f, 3), MathF.Sqrt(1 - MathF.Pow(0.99f, 3)), maxNorm);
        string[] results = ["value", "first moment", "second moment"];
        return results.Select((result, which) => new OpCase($"Adam {name}, {result}",
            [Constant("value", [count]), Constant("gradient", [count]), Constant("firstMoment", [count]),
                Constant("secondMoment", [count], 0.1, 2), Constant("squaredNorm", [1], 100, 200)],
            (tape, t) =>
            {
                Tensor[] state = [Copy(tape, t[0]), Copy(tape, t[2]), Copy(tape, t[3])];
                tape.Device.Backend.Adam(step, state[0], t[1], state[1], state[2], t[4]);
                return state[which];
            },
            v => Each(count, i =>
            {
                double gradient = v[1][i] * Math.Min(1, step.MaxNorm / (Math.Sqrt(v[4][0]) + 1e-6));
                double first = (step.Beta1 * v[2][i]) + ((1 - step.Beta1) * gradient);
                double second = (step.Beta2 * v[3][i]) + ((1 - step.Beta2) * gradient * gradient);
                double value = v[0][i] - (step.LearningRate / step.BiasCorrection1 * first
                    / ((Math.Sqrt(second) / step.BiasCorrection2Root) + step.Epsilon));
                return which switch { 0 => value, 1 => first, _ => second };
            })) { Tolerance = 1e-6, Tiny = tiny });
    }

    /// <summary>A copy that an op may overwrite.</summary>
    private static Tensor Copy(Tape tape, Tensor x)
    {
        var copy = tape.New(x.Shape);
        tape.Device.Backend.Accumulate(x, new GradientTarget(copy, false));
        return copy;
    }
}
