namespace Diffusion.Gpu.Kernels;

/// <summary>Functions of one number for use in kernels: the same on every device, without its approximations where they are poor.</summary>
internal static class KernelMath
{
    /// <summary>1 / (1 + e^-x).</summary>
    public static float Sigmoid(float x) => 1 / (1 + MathF.Exp(-x));

    /// <summary>x · sigmoid(x).</summary>
    public static float Silu(float x) => x / (1 + MathF.Exp(-x));

    /// <summary>The derivative of x · sigmoid(x).</summary>
    public static float SiluSlope(float x)
    {
        float sigmoid = Sigmoid(x);
        return sigmoid * (1 + (x * (1 - sigmoid)));
    }
}
