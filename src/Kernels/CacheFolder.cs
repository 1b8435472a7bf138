namespace Diffusion.Gpu.Kernels;

/// <summary>Where things are kept between runs: fetched weights, compiled kernels, measured tiles.</summary>
public static class CacheFolder
{
    /// <summary>The folder that the environment variable DIFFUSION_CACHE names, else "diffusion" in the user's folder for application
    /// data.</summary>
    public static string Path => Environment.GetEnvironmentVariable("DIFFUSION_CACHE") is { Length: > 0 } folder ? folder
        : System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData,
            Environment.SpecialFolderOption.DoNotVerify), "diffusion");

    /// <summary>Where compiled kernels are kept: the folder that DIFFUSION_KERNEL_CACHE names, else "kernels" in <see cref="Path"/>; empty
    /// where that variable says "off".</summary>
    public static string Kernels => Environment.GetEnvironmentVariable("DIFFUSION_KERNEL_CACHE") switch
    {
        "off" => "",
        { Length: > 0 } folder => folder,
        _ => System.IO.Path.Combine(Path, "kernels"),
    };
}
