namespace Diffusion.Gpu.Kernels.Weights;

/// <summary>Says in one line what is wrong with a file of weights and what would be right.</summary>
public sealed class WeightsException : IOException
{
    /// <summary>Describes a fault in a file of weights.</summary>
    /// <param name="file">Path of the file.</param>
    /// <param name="tensor">Name of the tensor, or null when the whole file is at fault.</param>
    /// <param name="got">What the file holds.</param>
    /// <param name="wanted">What it should hold, or what to do about it.</param>
    /// <param name="cause">The underlying error, if any.</param>
    public WeightsException(string file, string? tensor, string got, string wanted, Exception? cause = null)
        : base(tensor is null ? $"{file}: {got}; {wanted}" : $"{file}: tensor '{tensor}': {got}; {wanted}", cause)
    {
        File = file;
        Tensor = tensor;
        Got = got;
        Wanted = wanted;
    }

    /// <summary>Path of the file.</summary>
    public string File { get; }

    /// <summary>Name of the tensor, or null when the whole file is at fault.</summary>
    public string? Tensor { get; }

    /// <summary>What the file holds.</summary>
    public string Got { get; }

    /// <summary>What the file should hold, or what to do about it.</summary>
    public string Wanted { get; }
}
