using System.Runtime.CompilerServices;

namespace Diffusion.Gpu.Kernels;

/// <summary>The shape checks that ops make before anything is allocated.</summary>
internal static class Check
{
    /// <summary>Refuses a tensor whose rank differs.</summary>
    public static void Rank(Tensor tensor, int rank, string layout, [CallerMemberName] string op = "",
        [CallerArgumentExpression(nameof(tensor))] string argument = "")
    {
        if (tensor.Shape.Rank != rank)
            throw new ShapeException(op, argument, tensor.Shape.ToString(), $"{rank} axes {layout}");
    }

    /// <summary>Refuses a tensor whose extents differ.</summary>
    public static void Shape(Tensor tensor, Shape wanted, string layout, [CallerMemberName] string op = "",
        [CallerArgumentExpression(nameof(tensor))] string argument = "")
    {
        if (tensor.Shape != wanted)
            throw new ShapeException(op, argument, tensor.Shape.ToString(), $"{layout} = {wanted}");
    }

    /// <summary>Refuses arguments for which a condition does not hold.</summary>
    public static void That(bool holds, string argument, object got, string wanted, [CallerMemberName] string op = "")
    {
        if (!holds)
            throw new ShapeException(op, argument, got.ToString() ?? "", wanted);
    }
}
