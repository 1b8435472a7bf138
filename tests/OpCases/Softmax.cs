namespace Diffusion.Gpu.Kernels.OpCases;

public static partial class Catalogue
{
    /// <summary>Softmax along each kind of axis.</summary>
    public static IEnumerable<OpCase> Softmax =>
    [
        SoftmaxAlong("last axis", [2, 3, 5], -1, tiny: true),
        SoftmaxAlong("middle axis", [2, 7, 5], 1, tiny: true),
        SoftmaxAlong("first axis", [17, 3, 2], 0),
        SoftmaxAlong("129 columns", [3, 129], -1),
        SoftmaxAlong("1025 columns", [2, 1025], -1),
        SoftmaxAlong("65 rows down", [65, 33], 0),
        SoftmaxAlong("vector", [31], 0),
        // The result is 1 whatever the input: the gradient is 0.
        SoftmaxAlong("axis of one", [5, 1, 3], 1, floor: 1),
        // Saturated: the gradient is a difference of nearly equal terms.
        SoftmaxAlong("values to 80", [5, 9], -1, x: Input("x", [5, 9], -80, 80), floor: 0.1),
        SoftmaxAlong("values past the range of exp", [5, 9], -1, x: Constant("x", [5, 9], -2000, 2000)),
        SoftmaxAlong("masked and NaN", [3, 5], -1, x: Constant("x", [3, 5], planted: [float.NegativeInfinity, 0, float.NaN])),
    ];

    private static OpCase SoftmaxAlong(string name, Shape shape, int axis, bool tiny = false, double floor = 0, OpInput? x = null)
    {
        int length = shape[axis < 0 ? ^-axis : axis], inner = 1;
        for (int i = axis < 0 ? shape.Rank + axis + 1 : axis + 1; i < shape.Rank; i++)
            inner *= shape[i];
        return new OpCase($"Softmax {name}", [x ?? Input("x", shape)], (tape, t) => tape.Softmax(t[0], axis), v =>
        {
            var y = new double[shape.Count];
            for (int line = 0; line < y.Length / length; line++)
            {
                int first = (line / inner * length * inner) + (line % inner);
                int[] members = [.. Enumerable.Range(0, length).Select(k => first + (k * inner))];
                double largest = members.Any(i => double.IsNaN(v[0][i])) ? double.NaN : members.Max(i => v[0][i]);
                double sum = members.Sum(i => Math.Exp(v[0][i] - largest));
                foreach (int i in members)
                    y[i] = Math.Exp(v[0][i] - largest) / sum;
            }
            return y;
        }) { Tiny = tiny, GradientFloor = floor };
    }
}
