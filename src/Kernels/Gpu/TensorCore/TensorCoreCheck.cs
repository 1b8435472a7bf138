namespace Diffusion.Gpu.Kernels;

/// <summary>
/// A convolution and both its gradients on a device's tensor cores, compared with the processor's, before anybody relies on them: a driver
/// that compiles the tiles wrongly must end in an error, not in wrong numbers.
/// </summary>
/// <remarks>Whole numbers that every precision holds exactly, so that what is left is the factor of
/// <see cref="TensorFloat32.Correction"/>. The kernels are those of a network's first layers; their compilation is not lost.</remarks>
internal static class TensorCoreCheck
{
    /// <summary>Of the largest result; a wrong fragment is off by its whole.</summary>
    private const float Tolerance = 2e-3f;

    private static readonly string[] Products = ["convolution", "gradient of the input", "gradient of the filter"];

    /// <summary>Checks an opened device.</summary>
    /// <exception cref="DeviceException">A result is wrong.</exception>
    public static void Run(Device device)
    {
        using var processor = Device.Open("cpu");
        Compare(device, Compute(device), Compute(processor));
    }

    /// <summary>Compares what two devices computed.</summary>
    /// <exception cref="DeviceException">A result is wrong.</exception>
    internal static void Compare(Device device, float[][] results, float[][] expected)
    {
        for (int i = 0; i < Products.Length; i++)
        {
            float largest = expected[i].Max(MathF.Abs);
            for (int at = 0; at < expected[i].Length; at++)
            {
                // Not "greater than": a NaN is wrong.
                if (MathF.Abs(results[i][at] - expected[i][at]) <= Tolerance * largest)
                    continue;
                throw new DeviceException(device.Info.Id, $"its tensor cores are wrong in {device.Precision}: "
                    + $"value {at} of a {Products[i]} is {results[i][at]:R}, expected {expected[i][at]:R} "
                    + $"({device.Info.Name}, {device.Info.Driver})",
                    "use precision float32, and report this line");
            }
        }
    }

    /// <summary>More channels and pixels than a tile has of either, and no whole tiles.</summary>
    internal static float[][] Compute(Device device)
    {
        using var tape = device.NewTape();
        var x = tape.Constant([2, 9, 7, 68], Numbers(2 * 9 * 7 * 68, seed: 1));
        var filter = tape.Constant([68, 3, 3, 68], Numbers(68 * 9 * 68, seed: 2));
        tape.Watch(x);
        tape.Watch(filter);
        var y = tape.Conv2D(x, filter);
        tape.Backward(y, tape.Constant(y.Shape, Numbers((int)y.Count, seed: 3)));
        return [y.ToArray(), tape.Gradient(x)!.ToArray(), tape.Gradient(filter)!.ToArray()];
    }

    /// <summary>From −4 to 4.</summary>
    private static float[] Numbers(int count, uint seed)
    {
        var numbers = new float[count];
        for (int i = 0; i < count; i++)
            numbers[i] = (int)((((uint)i * 2654435761u) + (seed * 40503u)) >> 16) % 9 - 4;
        return numbers;
    }
}
