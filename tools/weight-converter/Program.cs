using Diffusion.Gpu.WeightConverter;

return await ConverterTool.RunAsync(args, Console.Out, Console.Error);
