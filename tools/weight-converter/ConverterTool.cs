using System.CommandLine;

namespace Diffusion.Gpu.WeightConverter;

/// <summary>The commands of the tool.</summary>
internal static class ConverterTool
{
    public const string Name = "weight-converter";

    private const string Examples = """
        Examples:
          weight-converter convert model-100.pt runs/mine/model-100.safetensors --image-size 64
                                                       bring a denoising-diffusion-pytorch model in; then: diffusion sample --run runs/mine
          weight-converter convert pt_inception-2015-12-05-6726825d.pth inception.safetensors
                                                       get Inception ready for FID (or let 'diffusion weights fetch' do both)
          weight-converter inspect model-100.pt
          weight-converter check model-100.pt --for unet
          weight-converter convert runs/mine/model-100.safetensors model-100.pt        back to PyTorch
        """;

    public static Task<int> RunAsync(string[] args, TextWriter output, TextWriter error)
    {
        var root = new RootCommand("Bring PyTorch's weights in and take them out, without Python; nothing in a file is ever run.\n\n"
            + Examples)
        {
            ConvertCommand.Create(output, error),
            InspectCommand.Create(output, error),
            CheckCommand.Create(output),
            BenchCommand.Create(output),
        };
        return CommandLine.RunAsync(Name, root, args, output, error);
    }
}
